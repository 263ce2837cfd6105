"""Replacing a name of another library for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Sets an attribute within the block and restores it afterwards.

    Args:
        owner: A module or a class.
        name: The attribute, which must exist.
        value: Its value within the block.
    """
    previous = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, previous)
