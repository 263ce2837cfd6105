"""Reads the configuration: merges files from left to right, applies `--set`, then validates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seqline.configuration.loaded import OVERRIDES, ConfigurationError, Loaded, Override, find_line
from seqline.configuration.model import BUILT_IN, Configuration
from seqline.configuration.parameters import merge
from seqline.configuration.yaml_lines import Keys, parse_yaml, read_yaml
from seqline.errors import UserError
from seqline.problems import Problem
from seqline.schema.messages import explain
from seqline.schema.texts import Text

FILE = "seqline.yaml"
MAX_ROUNDS = 5


class Flag(str):
    """A setting of another flag than --set, by which problems name it.

    Attributes:
        shown: The flag with its value as it was given.
    """

    __slots__ = ("shown",)
    shown: str

    @classmethod
    def of(cls, flag: str, given: Any, setting: str) -> "Flag":
        """Returns a setting.

        Args:
            flag: The flag, such as --endpoint.
            given: Its value.
            setting: `a.b=value`, as `load` takes it.
        """
        made = cls(setting)
        made.shown = f"{flag} {given}"
        return made


def load(files: Sequence[Path] = (), settings: Sequence[str] = ()) -> Loaded:
    """Reads the configuration.

    Args:
        files: Files, merged from left to right: mappings are merged key by key, and of two other values the later one
            counts. With none, `seqline.yaml` in the current folder if it exists.
        settings: `a.b=value` each: a key of the files, or, if its first part is none, a parameter of the pipeline.

    Raises:
        ConfigurationError: With every problem: unknown keys with the nearest valid one, wrong types, bad values.
    """
    files = tuple(files) or ((Path(FILE),) if Path(FILE).exists() else ())
    content: dict[str, Any] = {}
    lines: dict[Keys, str] = {}
    overrides: list[Override] = []
    for file in files:
        document = read_yaml(file)
        content = merge(content, document.content)
        lines |= document.lines
    for setting in settings:
        keys, value = read_setting(setting)
        lines[keys] = setting.shown if isinstance(setting, Flag) else f"--set {setting}"
        if keys[0] == OVERRIDES:
            overrides.append(Override(keys[1:], value, lines[keys]))
        else:
            _put(content, keys, value, lines[keys])
    try:
        return Loaded(Configuration.model_validate(content), files, lines, tuple(overrides))
    except ValidationError as error:
        part = _valid_part(content, error)
        rest = None if part is None else Loaded(part, files, lines, tuple(overrides))
        raise ConfigurationError(_problems(error, lines), rest) from None


def read_setting(setting: str) -> tuple[Keys, Any]:
    """Reads a `--set`.

    Args:
        setting: `a.b=value`. The value is YAML, so 3, true, [1, 2] and {a: 1} have their types.

    Returns:
        The path of keys, and the value. A parameter's value is `Text` until its type is known.

    Raises:
        UserError: If the form is wrong.
    """
    name, equals, text = setting.partition("=")
    keys = tuple(name.strip().split("."))
    if not equals or not all(keys):
        raise UserError(f"--set takes KEY=VALUE, not {setting!r}")
    if keys[0] not in Configuration.model_fields:
        keys = (OVERRIDES, *keys)
    if OVERRIDES in keys or "parameters" in keys[:-1]:
        return keys, Text(text)
    return keys, parse_yaml(text, keys)


def _put(content: dict[str, Any], keys: Keys, value: Any, source: str) -> None:
    for depth, key in enumerate(keys[:-1], start=1):
        # An empty mapping in a file is read as None.
        if content.get(key) is None:
            content[key] = {}
        content = content[key]
        if not isinstance(content, dict):
            raise UserError(f"{source}: {'.'.join(keys[:depth])} is not an object, so it has no keys to set")
    content[keys[-1]] = value


def _problems(error: ValidationError, lines: dict[Keys, str]) -> list[Problem]:
    found = []
    for detail in error.errors(include_url=False):
        keys = tuple(str(key) for key in detail["loc"] if key != "[key]")
        found.append(Problem(explain(detail, Configuration), find_line(lines, keys), ".".join(keys)))
    return found


def _valid_part(content: Any, error: ValidationError) -> Configuration | None:
    """The configuration without its wrong values; None if there is no such part, or a target is wrong as a whole."""
    for _ in range(MAX_ROUNDS):
        wrong = [_wrong_key(detail) for detail in error.errors(include_url=False)]
        if any(keys[:1] == ["targets"] and len(keys) < 3 and {*keys[1:]} <= {*BUILT_IN} for keys in wrong):
            return None  # other keys refer to it
        for keys in wrong:
            content = _without(content, keys)
        try:
            return Configuration.model_validate(content)
        except ValidationError as another:
            error = another
    return None


def _wrong_key(detail: Any) -> list[str | int]:
    """The path of a wrong value: of a key that is missing, its parent's."""
    keys = [key for key in detail["loc"] if key != "[key]"]
    return keys[:-1] if detail["type"] == "missing" else keys


def _without(content: Any, path: Sequence[str | int]) -> Any:
    """A copy of nested mappings without the value at a path; of a list, without the whole list."""
    if not isinstance(content, dict) or not path or path[0] not in content:
        return content
    kept = {key: value for key, value in content.items() if key != path[0]}
    inner = content[path[0]]
    if len(path) > 1 and isinstance(inner, dict) and path[1] in inner:
        kept[path[0]] = _without(inner, path[1:])
    return kept
