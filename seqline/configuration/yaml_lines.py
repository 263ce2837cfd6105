"""YAML that remembers on which line each key stands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seqline.errors import UserError

Keys = tuple[str, ...]

PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True)
class Document:
    """A file's content.

    Attributes:
        content: Mappings, lists and scalars.
        lines: By path of keys, where the key stands: file and line.
    """

    content: dict[str, Any] = field(default_factory=dict)
    lines: dict[Keys, str] = field(default_factory=dict)


def read_yaml(file: Path) -> Document:
    """Reads a YAML file that holds a mapping.

    Args:
        file: The file.

    Raises:
        UserError: If it is missing, is no YAML, holds something else, or names a key twice.
    """
    loader_class: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loader = loader_class(file.read_bytes().decode("utf-8"))
        node = loader.get_single_node()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; `seqline init` writes one") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 (byte {error.start})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{file}{line}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if node is None:
        return Document()
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{file}, line 1: this is a {node.id}, and a configuration is a mapping of keys to values")
    lines: dict[Keys, str] = {}
    try:
        content = _build(node, (), file, lines, loader)
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{file}: not YAML: {getattr(error, 'problem', None) or error}") from None
    finally:
        loader.dispose()
    return Document(content, lines)


def _build(node: Any, path: Keys, file: Path, lines: dict[Keys, str], loader: Any) -> Any:
    """The value of a node; takes down where its keys stand."""
    if not isinstance(node, yaml.ScalarNode) and node.tag not in PLAIN:
        raise UserError(f"{file}, line {node.start_mark.line + 1}: not YAML of plain values: {node.tag}")
    if isinstance(node, yaml.SequenceNode):
        items = [((*path, str(place)), item) for place, item in enumerate(node.value)]
        lines.update({keys: f"{file}, line {item.start_mark.line + 1}" for keys, item in items})
        return [_build(item, keys, file, lines, loader) for keys, item in items]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node, deep=True)
    loader.flatten_mapping(node)
    content = {}
    for key_node, value_node in node.value:
        where = f"{file}, line {key_node.start_mark.line + 1}"
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode):
            raise UserError(f"{where}: a key is a plain name")
        keys = (*path, key)
        if key in content:
            raise UserError(f"{where}: {'.'.join(keys)} is there twice; also {lines[keys]}")
        lines[keys] = where
        content[key] = _build(value_node, keys, file, lines, loader)
    return content
