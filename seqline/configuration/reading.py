"""Reads the configuration: files merged from left to right, then `--set`, then the models' checks."""

import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from seqline.compiling.parameters import Parameters, Text, nearest
from seqline.configuration.model import Configuration
from seqline.configuration.yaml_lines import Keys, read_yaml
from seqline.errors import UserError
from seqline.targets.target import Problem

FILE = "seqline.yaml"
# Stands in paths for the parameters that `--set name=value` gives; no key of the files.
OVERRIDES = "--set"
# What pydantic says, in words that name no Python.
WORDS = {
    "string_type": "takes text",
    "int_type": "takes a whole number",
    "int_parsing": "takes a whole number",
    "int_from_float": "takes a whole number",
    "float_type": "takes a number",
    "float_parsing": "takes a number",
    "bool_type": "takes true or false",
    "bool_parsing": "takes true or false",
    "dict_type": "takes keys with values",
    "model_type": "takes keys with values",
    "list_type": "takes a list",
    "missing": "is missing",
    "timezone_aware": "needs a time zone, such as 2030-01-31T00:00:00Z",
}


class ConfigurationError(UserError):
    """The configuration is wrong; `problems` has everything that is."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


@dataclass(frozen=True)
class Loaded:
    """A configuration, and where each part of it was said.

    Attributes:
        configuration: The whole.
        files: Those that it was read from.
        lines: By path of keys, the file and line, or the flag, that said it last.
        overrides: Parameters that `--set name=value` gives on top of all else.
    """

    configuration: Configuration = field(default_factory=Configuration)
    files: tuple[Path, ...] = ()
    lines: dict[Keys, str] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)

    def arguments(self, known: Parameters, target: str, schedule: str = "", others: bool = False) -> dict[str, Any]:
        """Values of a pipeline's parameters: the common ones, the target's, the schedule's, then those of `--set`.

        Args:
            known: The pipeline's parameters.
            target: The target's name.
            schedule: A schedule's name; empty for a run by hand.
            others: Whether the pipeline is another than the configuration's own, which the common values and the
                target's are not for.

        Raises:
            ConfigurationError: With every unknown name and every value of a wrong type.
        """
        values: dict[str, Any] = {}
        for layer in _layers(target, schedule, others):
            values |= _at(self.configuration, layer) or {}
        values = _merge(values, self.overrides)
        typed, problems = {}, []
        for name, value in values.items():
            try:
                typed[name] = known.typed(name, value)
            except UserError as error:  # noqa: PERF203
                keys = self.said_by(name, target, schedule, others)
                problems.append(Problem(str(error), self.where(*keys), "" if keys[0] == OVERRIDES else ".".join(keys)))
        if problems:
            raise ConfigurationError(problems)
        return typed

    def said_by(self, name: str, target: str, schedule: str = "", others: bool = False) -> Keys:
        """The key that gives a parameter its value.

        Args:
            name: The parameter's name.
            target: As in `arguments`; the rest too.
            schedule: A schedule's name.
            others: Whether the pipeline is another.
        """
        if name in self.overrides:
            return (OVERRIDES, name)
        layers = _layers(target, schedule, others)
        giving = [layer for layer in layers if name in (_at(self.configuration, layer) or {})]
        return (*(giving[-1] if giving else ("parameters",)), name)

    def where(self, *keys: str) -> str:
        """File and line of a key, or of the nearest one above it; empty for a default.

        Args:
            keys: The path, such as ("parameters", "epochs").
        """
        return _where(self.lines, keys)


def load(files: Sequence[Path] = (), settings: Sequence[str] = ()) -> Loaded:
    """Reads the configuration.

    Args:
        files: Merged from left to right: of two values for a key the later one counts, mappings are merged key by
            key, lists are replaced. With none, `seqline.yaml` in the current folder if there is one.
        settings: `a.b=value` each: a key of the files, or, where its first part is none, a parameter of the pipeline.

    Raises:
        ConfigurationError: With every problem: unknown keys with the nearest valid one, wrong types, bad values.
    """
    files = tuple(files) or ((Path(FILE),) if Path(FILE).exists() else ())
    content: dict[str, Any] = {}
    lines: dict[Keys, str] = {}
    overrides: dict[str, Any] = {}
    for file in files:
        document = read_yaml(file)
        content = _merge(content, document.content)
        lines |= document.lines
    for setting in settings:
        keys, value = read_setting(setting)
        if keys[0] == OVERRIDES:
            _put(overrides, keys[1:], value, setting)
        else:
            _put(content, keys, value, setting)
        lines[keys] = f"--set {setting}"
    try:
        return Loaded(Configuration.model_validate(content), files, lines, overrides)
    except ValidationError as error:
        raise ConfigurationError(_problems(error, lines)) from None


def read_setting(setting: str) -> tuple[Keys, Any]:
    """Reads a `--set`.

    Args:
        setting: `a.b=value`; the value is YAML, so 3, true, [1, 2] and {a: 1} have their types.

    Returns:
        The path of keys, and the value. A parameter's value stays text until its type is known.

    Raises:
        UserError: If the form is wrong.
    """
    name, equals, text = setting.partition("=")
    keys = tuple(name.strip().split("."))
    if not equals or not all(keys):
        raise UserError(f"--set takes name=value, not {setting!r}")
    if keys[0] not in Configuration.model_fields:
        keys = (OVERRIDES, *keys)
    if keys[-2:-1] in {("parameters",), (OVERRIDES,)}:
        return keys, Text(text)
    try:
        return keys, yaml.safe_load(text)
    except yaml.YAMLError:
        return keys, text


def _merge(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _merge(below.get(key), value) for key, value in above.items()}}


def _put(content: dict[str, Any], keys: Keys, value: Any, setting: str) -> None:
    for place, key in enumerate(keys[:-1], start=1):
        # An empty mapping in a file is read as nothing.
        if content.get(key) is None:
            content[key] = {}
        content = content[key]
        if not isinstance(content, dict):
            raise UserError(f"--set {setting}: {'.'.join(keys[:place])} holds no keys")
    content[keys[-1]] = value


def _layers(target: str, schedule: str, others: bool) -> list[Keys]:
    """Where parameters are given values, the one that counts most last."""
    layers: list[Keys] = [] if others else [("parameters",), ("targets", target, "parameters")]
    return [*layers, ("schedules", schedule, "parameters")] if schedule else layers


def _at(configuration: Configuration, keys: Keys) -> Any:
    """What the configuration has at a path; None where a part of it is left out."""
    found: Any = configuration
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else getattr(found, key, None)
    return found


def _where(lines: dict[Keys, str], keys: Sequence[str]) -> str:
    for length in range(len(keys), 0, -1):
        if tuple(keys[:length]) in lines:
            return lines[tuple(keys[:length])]
    return ""


def _problems(error: ValidationError, lines: dict[Keys, str]) -> list[Problem]:
    found = []
    for detail in error.errors(include_url=False):
        keys = tuple(str(key) for key in detail["loc"] if key != "[key]")
        found.append(Problem(_message(detail, keys), _where(lines, keys), ".".join(keys)))
    return found


def _message(detail: Any, keys: Keys) -> str:
    kind, given = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        return f"there is no such key; {nearest(keys[-1], _fields(keys[:-1]))}"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "literal_error":
        expected = detail["ctx"]["expected"].replace("'", "")
        return f"takes {expected}, not {given!r}"
    if kind == "string_pattern_mismatch":
        meant = _description(keys) or f"it is not of the form {detail['ctx']['pattern']}"
        return f"{given!r} does not fit: {meant[0].lower()}{meant[1:].rstrip('.')}"
    if kind == "missing":
        return WORDS[kind]
    said = WORDS.get(kind) or detail["msg"][0].lower() + detail["msg"][1:]
    return f"{said}, not {given!r}" if len(str(given)) < 80 else said


def _fields(keys: Keys) -> list[str]:
    """The keys that there are at a path of the configuration."""
    kind = _kind(keys)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _description(keys: Keys) -> str:
    """What the field at a path is for."""
    above = _kind(keys[:-1])
    described = isinstance(above, type) and issubclass(above, BaseModel) and keys[-1] in above.model_fields
    return (above.model_fields[keys[-1]].description or "") if described else ""


def _kind(keys: Keys) -> Any:
    """The model, or the mapping, at a path of the configuration."""
    kind: Any = Configuration
    for key in keys:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _model(kind.model_fields[key].annotation)
        else:
            kind = _model(next(iter(typing.get_args(kind)[-1:]), None))
    return kind


def _model(annotation: Any) -> Any:
    """A model, or a mapping to models, out of an annotation that may be `... | None`."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return next((_model(part) for part in typing.get_args(annotation) if part is not type(None)), None)
    if typing.get_origin(annotation) is typing.Annotated:
        return _model(typing.get_args(annotation)[0])
    return annotation
