"""Reads YAML and the line of each key."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seqline.configuration.base import Written
from seqline.errors import UserError
from seqline.schema.yaml_values import Loader, Unquoted

Keys = tuple[str, ...]

PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
MERGE = "tag:yaml.org,2002:merge"
# A cron expression such as */15 and a macro such as @daily begin with what YAML reserves.
SPECIAL = re.compile("alias|alphabetic or numeric|cannot start any token")


@dataclass(frozen=True)
class Document:
    """The content of a file.

    Attributes:
        content: Mappings, lists and scalars.
        lines: File and line by path of keys.
    """

    content: dict[str, Any] = field(default_factory=dict)
    lines: dict[Keys, str] = field(default_factory=dict)


def read_yaml(file: Path) -> Document:
    """Reads a YAML file that holds a mapping.

    Args:
        file: The file.

    Raises:
        UserError: If it is missing, is not YAML, is not a mapping, or has a key twice.
    """
    try:
        loader = Loader(file.read_bytes().decode("utf-8"))
        node = loader.get_single_node()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; `seqline init` writes one") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 (byte {error.start})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error)
        hint = "; put a value that begins with * or @ in quotes" if SPECIAL.search(problem) else ""
        raise UserError(f"{file}{line}: not YAML: {problem}{hint}") from None
    if node is None:
        return Document()
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{file}, line 1: a configuration must be a mapping of keys to values, not a {node.id}")
    lines: dict[Keys, str] = {}
    try:
        content = _build(node, (), file, lines, loader)
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{file}: not YAML: {getattr(error, 'problem', None) or error}") from None
    finally:
        loader.dispose()
    return Document(content, lines)


def parse_yaml(text: str, path: Keys) -> Any:
    """Parses a value that the command line sets; returns the text itself if it is not YAML.

    Args:
        text: The text.
        path: Path of keys of the value.
    """
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        return None if node is None else _build(node, path, Path("--set"), {}, loader)
    except (yaml.YAMLError, ValueError):
        return text


def _build(
    node: Any, path: Keys, file: Path, lines: dict[Keys, str], loader: Any, parents: frozenset[int] = frozenset()
) -> Any:
    """Returns the value of a node, and adds the lines of its keys to `lines`."""
    if not isinstance(node, yaml.ScalarNode) and node.tag not in PLAIN:
        raise UserError(f"{_where(node, file)}: not YAML of plain values: {node.tag}")
    if not isinstance(node, yaml.ScalarNode):
        parents = _below(node, file, parents)
    if isinstance(node, yaml.SequenceNode):
        items = [((*path, str(index)), item) for index, item in enumerate(node.value)]
        lines.update({keys: _where(item, file) for keys, item in items})
        return [_build(item, keys, file, lines, loader, parents) for keys, item in items]
    if not isinstance(node, yaml.MappingNode):
        value = loader.construct_object(node, deep=True)
        # Elsewhere 1e5 and 1.10 may be tags.
        plain = "parameters" not in path and not isinstance(value, bool) and isinstance(value, int | float | Unquoted)
        return Written.read(node.value, value) if plain else value
    content: dict[str, Any] = {}
    for key_node, value_node in _pairs(node, file, parents):
        where, key = _where(key_node, file), key_node.value
        keys = (*path, key)
        if key in content:
            raise UserError(f"{where}: {'.'.join(keys)} is set twice; first on {lines[keys]}")
        lines[keys] = where
        content[key] = _build(value_node, keys, file, lines, loader, parents)
    return content


def _pairs(node: Any, file: Path, parents: frozenset[int]) -> list[tuple[Any, Any]]:
    """Returns the keys and values of a mapping: those that it merges and does not set itself, then its own."""
    own: list[tuple[Any, Any]] = []
    merged: dict[str, tuple[Any, Any]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise UserError(f"{_where(key, file)}: a key must be a plain name")
        if key.tag != MERGE:
            own.append((key, value))
            continue
        # Of several, the first counts.
        for one in reversed(value.value) if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(one, yaml.MappingNode):
                raise UserError(f"{_where(key, file)}: << takes a mapping, or a list of mappings")
            merged |= {pair[0].value: pair for pair in _pairs(one, file, _below(one, file, parents))}
    names = {key.value for key, _ in own}
    return [*(pair for name, pair in merged.items() if name not in names), *own]


def _below(node: Any, file: Path, parents: frozenset[int]) -> frozenset[int]:
    """Returns the nodes around those of a node, which may not be among them."""
    if id(node) in parents:
        raise UserError(f"{_where(node, file)}: an alias (*) refers to a value that contains it; write the value out")
    return parents | {id(node)}


def _where(node: Any, file: Path) -> str:
    return f"{file}, line {node.start_mark.line + 1}"
