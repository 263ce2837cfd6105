"""The parameters of a compiled pipeline: their names, types and texts on the command line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqline.errors import UserError
from seqline.names import nearest
from seqline.schema.texts import Text


@dataclass(frozen=True)
class Type:
    """A parameter type of KFP: what it is in Python, and in words."""

    python: type
    words: str


TYPES = {
    "STRING": Type(str, "text"),
    "NUMBER_INTEGER": Type(int, "a whole number"),
    "NUMBER_DOUBLE": Type(float, "a number"),
    "BOOLEAN": Type(bool, "true or false"),
    "STRUCT": Type(dict, "a JSON object"),
    "LIST": Type(list, "a JSON list"),
}


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
            root: The component, as its YAML holds it.
        """
        given = root.get("inputDefinitions", {}).get("parameters", {})
        types = {name: entry["parameterType"] for name, entry in given.items()}
        return cls(pipeline, types, {name: entry.get("defaultValue") for name, entry in given.items()})

    def require(self, name: str) -> str:
        """Returns the type of a parameter.

        Args:
            name: The parameter's name.

        Raises:
            UserError: If the pipeline has none of that name; the message has the closest one.
        """
        if name not in self.types:
            raise UserError(f"pipeline {self.pipeline} has no parameter {name!r}; {nearest(name, self.types)}")
        return self.types[name]

    def typed(self, name: str, value: Any) -> Any:
        """Returns a value in the type of its parameter.

        Args:
            name: The parameter's name.
            value: What was given: of that type, or `Text` that is read as JSON where the parameter is no text itself.

        Raises:
            UserError: If there is no such parameter, or it takes something else.
        """
        kind, given = self.require(name), value
        if isinstance(value, Text):
            try:
                value = str(value) if kind == "STRING" else json.loads(value.lower() if kind == "BOOLEAN" else value)
            except json.JSONDecodeError:
                value = None
        if kind == "NUMBER_DOUBLE" and type(value) is int:
            value = float(value)
        # type() and not isinstance(): true is no number.
        if type(value) is not TYPES[kind].python:
            raise UserError(f"parameter {name} takes {TYPES[kind].words}, not {_shown(given)}")
        return value


def merge(below: Any, above: Any) -> Any:
    """Merges two values: mappings key by key, anything else is replaced.

    Args:
        below: The value underneath.
        above: The value that takes precedence.
    """
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: merge(below.get(key), value) for key, value in above.items()}}


def _shown(value: Any) -> str:
    """A value as it was written."""
    return repr(str(value)) if isinstance(value, str) else json.dumps(value, default=str)


def read_parameters(spec: Path) -> Parameters:
    """Reads the parameters of a compiled pipeline.

    Args:
        spec: The compiled YAML.

    Raises:
        UserError: If the file is missing or is not a compiled pipeline.
    """
    import yaml

    try:
        document = next(yaml.safe_load_all(spec.read_text(encoding="utf-8")))
        return Parameters.of(document["pipelineInfo"]["name"], document["root"])
    except FileNotFoundError:
        raise UserError(f"no compiled pipeline at {spec}; make one with `seqline compile --output {spec}`") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, StopIteration):
        raise UserError(f"{spec} is not a compiled pipeline; make one with `seqline compile`") from None
