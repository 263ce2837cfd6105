"""What `--json` prints: an object for one thing, an array for several, and an object a line for a stream."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any


def print_json(content: Any) -> None:
    """Prints an object or an array.

    Args:
        content: Dataclasses, mappings, sequences and plain values.
    """
    print(json.dumps(plain(content), indent=1, ensure_ascii=False))


def print_json_line(content: Any) -> None:
    """Prints an object on one line, at once.

    Args:
        content: As in `print_json`.
    """
    print(json.dumps(plain(content), ensure_ascii=False), flush=True)


def plain(content: Any) -> Any:
    """Returns what JSON has for a value.

    Args:
        content: As in `print_json`.
    """
    if is_dataclass(content) and not isinstance(content, type):
        return {field.name: plain(getattr(content, field.name)) for field in fields(content)}
    if isinstance(content, Mapping):
        return {str(name): plain(value) for name, value in content.items()}
    if isinstance(content, (list, tuple, set, frozenset)):
        return [plain(value) for value in content]
    if isinstance(content, Enum):
        return content.value
    if hasattr(content, "isoformat"):
        return content.isoformat()
    return str(content) if isinstance(content, Path) else content
