"""The parameters of a compiled pipeline: their names, types and defaults."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqline.errors import UserError
from seqline.names import nearest
from seqline.schema.messages import WORDS, not_text
from seqline.schema.options import Fault, OptionsError, whole_numbers
from seqline.schema.sections import SECTIONS
from seqline.schema.texts import Text, parse
from seqline.schema.transport import unfit

TYPES: dict[str, tuple[type, str]] = {
    "STRING": (str, WORDS["string_type"]),
    "NUMBER_INTEGER": (int, WORDS["int_type"]),
    "NUMBER_DOUBLE": (float, WORDS["float_type"]),
    "BOOLEAN": (bool, WORDS["bool_type"]),
    "STRUCT": (dict, WORDS["dict_type"]),
    "LIST": (list, WORDS["list_type"]),
}
"""Type in Python, and in words, of each parameter type of KFP."""


@dataclass(frozen=True)
class Parameters:
    """A compiled pipeline's parameters.

    Attributes:
        pipeline: The pipeline's name.
        types: KFP's parameter type by parameter name.
        defaults: Default values by parameter name.
    """

    pipeline: str
    types: dict[str, str]
    defaults: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, pipeline: str, root: Mapping[str, Any]) -> "Parameters":
        """Reads the parameters of a compiled pipeline's root component.

        Args:
            pipeline: The pipeline's name.
            root: The component, as parsed from YAML.
        """
        given = root.get("inputDefinitions", {}).get("parameters", {})
        types = {name: entry["parameterType"] for name, entry in given.items()}
        return cls(pipeline, types, {name: entry.get("defaultValue") for name, entry in given.items()})

    @property
    def sections(self) -> list[str]:
        """The parameters that are sections: a pipeline of the user's own may have others of the same names."""
        return [name for name, kind in self.types.items() if name in SECTIONS and kind == SECTIONS[name].kind]

    def require(self, name: str) -> str:
        """Returns the KFP type of a parameter.

        Args:
            name: The parameter's name.

        Raises:
            UserError: If the pipeline has no such parameter; the message names the nearest one.
        """
        if name not in self.types:
            raise UserError(f"pipeline {self.pipeline} has no parameter {name!r}; {nearest(name, self.types)}")
        return self.types[name]

    def typed(self, name: str, value: Any) -> Any:
        """Returns a value in the type of its parameter.

        Args:
            name: The parameter's name.
            value: A value of that type, or `Text`, which is parsed unless the parameter takes text.

        Raises:
            UserError: If there is no such parameter, or the value has another type.
        """
        kind, given = self.require(name), value
        if isinstance(value, Text):
            value = str(value) if kind == "STRING" else parse(value)
        faults = [Fault((name, *path), message) for path, message in unfit(value)]
        if faults:
            raise OptionsError(faults)
        if kind == "NUMBER_DOUBLE" and type(value) is int:
            value = float(value)
        if kind == "NUMBER_INTEGER":
            value = whole_numbers(value)
        python, words = TYPES[kind]
        # type() and not isinstance(): true is not a number.
        if type(value) is not python:
            wrong = not_text(given) if kind == "STRING" else f"must be {words}, not {_shown(given)}"
            raise OptionsError([Fault((name,), wrong)])
        return value


def merge(below: Any, above: Any) -> Any:
    """Merges two values: mappings key by key; any other value is replaced.

    Args:
        below: The value with less precedence.
        above: The value with more.
    """
    if isinstance(below, Text) and isinstance(above, Mapping):
        below = parse(below)
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: merge(below.get(key), value) for key, value in above.items()}}


def _shown(value: Any) -> str:
    """Returns a value as the user wrote it."""
    return repr(str(value)) if isinstance(value, str) else json.dumps(value, default=str)


def read_parameters(spec: Path) -> Parameters:
    """Reads the parameters of a compiled pipeline.

    Args:
        spec: The compiled YAML.

    Raises:
        UserError: If the file is missing or is not a compiled pipeline.
    """
    import yaml

    from seqline.schema.spec_files import read_documents

    try:
        document = next(read_documents(spec.read_text(encoding="utf-8")))
        return Parameters.of(document["pipelineInfo"]["name"], document["root"])
    except FileNotFoundError:
        raise UserError(f"no compiled pipeline at {spec}; make one with `seqline compile --output {spec}`") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, StopIteration):
        raise UserError(f"{spec} is not a compiled pipeline; make one with `seqline compile`") from None
