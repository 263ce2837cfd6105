"""The parameters of a compiled pipeline: their names, types and texts on the command line."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.errors import UserError


class Text(str):
    """A value as the command line gives it: text that gets its parameter's type once that is known."""

    __slots__ = ()


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


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns a hint naming the closest valid name.

    Args:
        name: What was given.
        names: What there is.
    """
    names = sorted(names)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names)}"


@dataclass(frozen=True)
class Parameters:
    """A compiled pipeline's parameters.

    Attributes:
        pipeline: The pipeline's name.
        types: KFP's parameter type by parameter name.
    """

    pipeline: str
    types: dict[str, str]

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

    def parse(self, setting: str) -> tuple[str, Any]:
        """Reads `name=value` as the command line gives it.

        Args:
            setting: The text; the value is JSON where the parameter is an object or a list.

        Returns:
            The parameter's name and its typed value.

        Raises:
            UserError: If the form, the name or the value is wrong.
        """
        name, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set takes name=value, not {setting!r}")
        return name, self.typed(name, Text(text))


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
        given = document["root"].get("inputDefinitions", {}).get("parameters", {})
        return Parameters(
            document["pipelineInfo"]["name"], {name: entry["parameterType"] for name, entry in given.items()}
        )
    except FileNotFoundError:
        raise UserError(f"no compiled pipeline at {spec}; make one with `seqline compile --output {spec}`") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, StopIteration):
        raise UserError(f"{spec} is not a compiled pipeline; make one with `seqline compile`") from None
