"""The values of a run's parameters: typed, validated by the stages' schemas, and in normal form."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seqline.configuration.parameters import Parameters, merge
from seqline.endpoints.names import check_reachable
from seqline.endpoints.opening import check_endpoint
from seqline.errors import UserError
from seqline.schema.options import Fault, OptionsError
from seqline.schema.run import RunParameters
from seqline.schema.sections import SECTIONS, Section, implied, qualify, resolve
from seqline.schema.texts import Text, parse, read_text


@dataclass
class Arguments:
    """The values of a run's parameters.

    Attributes:
        values: Values by parameter name, in the form in which they are submitted.
        faults: All wrong values and names.
    """

    values: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_arguments(known: Parameters, given: Mapping[str, Any], containers: bool = False) -> Arguments:
    """Types and validates values.

    A section is merged into the pipeline's own default and reduced to what differs from the stage's defaults, so equal
    options are submitted in equal form however they were written.

    Args:
        known: The pipeline's parameters.
        given: Values by parameter name, from `--set` or a file.
        containers: Whether each stage will run in a container of its own, so that no local endpoint is of use.
    """
    found = Arguments()
    sections: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known.types:
            found.faults.append(_unknown(known, name))
        elif name in known.sections:
            section, value = SECTIONS[name], parse(value) if isinstance(value, Text) else value
            sections[name] = _section(section, known.defaults.get(name), value)
        else:
            try:
                found.values[name] = known.typed(name, value)
            except OptionsError as error:
                found.faults += error.faults
    found.faults += _endpoint(known, found.values, containers)
    # Only a pipeline with sections has parameters of the run; those of another may mean something else.
    every = known.defaults | found.values if known.sections else {}
    run = {name: value for name, value in every.items() if name in RunParameters.model_fields}
    defaults = {name: _default(SECTIONS[name], known.defaults.get(name)) for name in known.sections}
    try:
        resolved = resolve(run, defaults | sections)
    except OptionsError as error:
        found.faults += error.faults
    else:
        more = implied(defaults | sections)
        found.values |= {name: SECTIONS[name].normal(resolved[name], more.get(name, {})) for name in sections}
    return found


def _endpoint(known: Parameters, values: Mapping[str, Any], containers: bool) -> Iterator[Fault]:
    """Yields the fault of an endpoint that the last stages would refuse."""
    # Another pipeline's parameter of that name may mean something else.
    if known.sections and values.get("endpoint"):
        try:
            if containers:
                check_reachable(values["endpoint"])
            check_endpoint(values["endpoint"])
        except UserError as error:
            yield Fault(("endpoint",), str(error), predicate=False)


def _unknown(known: Parameters, name: str) -> Fault:
    """Returns the fault of a name that is not a parameter: the section of an option, or the nearest valid name."""
    try:
        section, *_ = qualify(name, known.types, known.sections)
    except UserError as error:
        return Fault((name,), str(error), predicate=False)
    return Fault((name,), f"is an option of {section}; write it as {section}: {{{name}: ...}}")


def _section(section: Section, default: Any, value: Any) -> Any:
    """Returns a section's value on top of the pipeline's default. Its schema rejects what is not an object."""
    if value is None:
        return _default(section, default)
    if section.field or not isinstance(value, Mapping):
        return value
    known = section.model.model_fields
    options = {
        option: read_text(known[option].annotation if option in known else str, one) for option, one in value.items()
    }
    return merge(default or {}, options)


def _default(section: Section, default: Any) -> Any:
    return default or ([] if section.field else {})
