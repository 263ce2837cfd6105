"""The values of a run's parameters: typed, checked by the schemas of the stages, and in one normal form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seqline.configuration.parameters import Parameters, merge
from seqline.errors import UserError
from seqline.schema.options import Fault, OptionsError
from seqline.schema.run import RunParameters
from seqline.schema.sections import SECTIONS, qualify, resolve
from seqline.schema.texts import Text, read_text


@dataclass
class Arguments:
    """What is made of values that were given.

    Attributes:
        values: Values by parameter name, in the form in which they are submitted.
        faults: What is wrong with them.
    """

    values: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_arguments(known: Parameters, given: Mapping[str, Any]) -> Arguments:
    """Types and checks values.

    A section's fields are merged into the pipeline's own default, and what differs from the stage's defaults is left:
    the same options are submitted in the same form however they were written.

    Args:
        known: The pipeline's parameters.
        given: Values by parameter name, as `--set` or a file gives them.
    """
    found = Arguments()
    sections: dict[str, Any] = {}
    for name, value in given.items():
        try:
            if name in known.types and name in SECTIONS:
                sections[name] = _section(known, name, value)
            else:
                _require(known, name)
                found.values[name] = known.typed(name, value)
        except OptionsError as error:  # noqa: PERF203
            found.faults += error.faults
        except UserError as error:
            found.faults.append(Fault((name,), str(error), predicate=False))
    run = {name: value for name, value in (known.defaults | found.values).items() if name in RunParameters.model_fields}
    every = {
        name: known.defaults.get(name) or ([] if SECTIONS[name].field else {})
        for name in known.types
        if name in SECTIONS
    }
    try:
        resolved = resolve(run, every | sections)
    except OptionsError as error:
        found.faults += [
            fault for fault in error.faults if not any(fault.path[:1] == other.path for other in found.faults)
        ]
    else:
        found.values |= {name: SECTIONS[name].normal(resolved[name]) for name in sections}
    return found


def _require(known: Parameters, name: str) -> None:
    """Refuses what is no parameter, with the section of an option that stands outside it."""
    if name in known.types:
        return
    section, *_ = qualify(name, known.types)
    raise UserError(f"is an option of {section}; write it as {section}: {{{name}: ...}}")


def _section(known: Parameters, name: str, value: Any) -> Any:
    if isinstance(value, Text):
        value = known.typed(name, value)
    section, default = SECTIONS[name], known.defaults.get(name)
    if section.field:
        return value
    if value is None:
        return default or {}
    if not isinstance(value, Mapping):
        raise OptionsError([Fault((name,), f"must be an object of options, not {value!r}")])
    return merge(default or {}, {option: _read(section.model, option, one) for option, one in value.items()})


def _read(model: Any, option: str, value: Any) -> Any:
    """An option's value in its type, where the command line gave it as text."""
    field = model.model_fields.get(option)
    return read_text(field.annotation if field else str, value)
