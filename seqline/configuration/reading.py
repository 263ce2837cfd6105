"""Reads the configuration: files merged from left to right, then `--set`, then the models' checks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from seqline.configuration.arguments import read_arguments
from seqline.configuration.model import Configuration
from seqline.configuration.parameters import Parameters, merge
from seqline.configuration.yaml_lines import Keys, read_yaml
from seqline.errors import UserError
from seqline.problems import Problem
from seqline.schema.messages import explain
from seqline.schema.options import Fault, dotted
from seqline.schema.sections import qualify
from seqline.schema.texts import Text

FILE = "seqline.yaml"
# Stands in paths for the parameters that `--set name=value` gives; no key of the files.
OVERRIDES = "--set"


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

        Returns:
            The values in the form in which they are submitted: of a section, what differs from its defaults.

        Raises:
            ConfigurationError: With every unknown name and every value that a stage would refuse.
        """
        values: dict[str, Any] = {}
        layers = _layers(target, schedule, others)
        for layer in layers:
            values = merge(values, _at(self.configuration, layer) or {})
        sources: dict[Keys, Keys] = {}
        problems = []
        for name, value in self.overrides.items():
            try:
                path = qualify(name, known.types)
            except UserError as error:
                problems.append(Problem(str(error), self.where(OVERRIDES, name)))
                continue
            sources[path] = (OVERRIDES, name)
            for part in reversed(path):
                value = {part: value}
            values = merge(values, value)
        read = read_arguments(known, values)
        problems += [self._problem(fault, sources, layers) for fault in read.faults]
        if problems:
            raise ConfigurationError(problems)
        return read.values

    def _problem(self, fault: Fault, sources: dict[Keys, Keys], layers: Sequence[Keys]) -> Problem:
        """A fault, and where the value comes from."""
        path = tuple(map(str, fault.path))
        for length in range(len(path), 0, -1):
            source = sources.get(path[:length])
            if source and (where := self.where(*source, *path[length:])):
                return Problem(str(fault), where)
        for layer in reversed(layers):
            if path and path[0] in (_at(self.configuration, layer) or {}):
                where = _where(self.lines, (*layer, *path))
                field = ".".join((*layer, dotted(fault.path)))
                return Problem(fault.message, where, field)
        return Problem(str(fault))

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
        content = merge(content, document.content)
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
    if OVERRIDES in keys or "parameters" in keys[:-1]:
        return keys, Text(text)
    try:
        return keys, yaml.safe_load(text)
    except yaml.YAMLError:
        return keys, text


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
        found.append(Problem(explain(detail, Configuration), _where(lines, keys), ".".join(keys)))
    return found
