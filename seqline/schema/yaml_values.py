"""YAML as its version 1.2 reads numbers, and texts that other versions take for something else."""

import re
from typing import Any

import yaml

INT, FLOAT, TIMESTAMP = (f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))
# YAML 1.1 reads 2e-3 as text, 017 as 15 and 12:30 as 750.
NUMBERS = {
    INT: r"[-+]?[0-9]+(?:_[0-9]+)*|0o[0-7]+|0x[0-9a-fA-F]+",
    FLOAT: r"[-+]?(?:\.[0-9]+|[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}
SEXAGESIMAL = "!sexagesimal"


class Unquoted(str):
    """A text without quotes that YAML 1.1 reads as something else, so that its author must quote it.

    Attributes:
        meaning: What it is for YAML 1.1.
    """

    __slots__ = ("meaning",)
    meaning: str

    @classmethod
    def read(cls, text: str, meaning: str) -> "Unquoted":
        """Marks a text.

        Args:
            text: The text as it was written.
            meaning: Such as `date`.
        """
        made = cls(text)
        made.meaning = meaning
        return made


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads plain values; numbers are those of YAML 1.2."""


def _prepare() -> None:
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in NUMBERS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for tag, pattern in NUMBERS.items():
        Loader.add_implicit_resolver(tag, re.compile(rf"(?:{pattern})\Z"), list("-+.0123456789"))
    sexagesimal = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
    Loader.add_implicit_resolver(SEXAGESIMAL, sexagesimal, list("-+0123456789"))
    Loader.add_constructor(INT, lambda loader, node: _integer(node.value))
    Loader.add_constructor(FLOAT, lambda loader, node: _float(node.value.lower()))
    Loader.add_constructor(TIMESTAMP, lambda loader, node: Unquoted.read(node.value, "date"))
    Loader.add_constructor(SEXAGESIMAL, lambda loader, node: Unquoted.read(node.value, "time"))


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


def _float(text: str) -> float:
    return float(re.sub(r"\.(?=inf|nan)", "", text))


def load_yaml(text: str) -> Any:
    """Reads one value.

    Args:
        text: YAML.

    Raises:
        YAMLError: If it is none.
        ValueError: If a number has too many digits.
    """
    return yaml.load(str(text), Loader)  # noqa: S506 (it is a safe loader)


_prepare()
