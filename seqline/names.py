"""Hints about misspelt names."""

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns a hint that names the closest valid name.

    Args:
        name: The given name.
        names: The valid names.
    """
    names = sorted(names)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"available: {', '.join(names)}"
