"""Finds the words that differ between two texts."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

# Words, spaces, and single symbols; scripts without spaces between words are compared character by character.
TOKEN = re.compile(r"\s+|[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|\w+|[^\w\s]")


@dataclass(frozen=True)
class Segment:
    """A part of a text.

    Attributes:
        text: Its characters.
        differs: Whether the other text differs here.
    """

    text: str
    differs: bool


def differences(first: str, second: str) -> tuple[list[Segment], list[Segment]]:
    """Splits two texts into segments that are equal or differ, word by word.

    Args:
        first: One text.
        second: The other.

    Returns:
        The segments of each; joined, they give the text again.
    """
    tokens, others = TOKEN.findall(first), TOKEN.findall(second)
    ours: list[Segment] = []
    theirs: list[Segment] = []
    for operation, a, b, c, d in SequenceMatcher(None, tokens, others, autojunk=False).get_opcodes():
        _add(ours, "".join(tokens[a:b]), operation != "equal")
        _add(theirs, "".join(others[c:d]), operation != "equal")
    return ours, theirs


def _add(segments: list[Segment], text: str, differs: bool) -> None:
    if text:
        segments.append(Segment(text, differs))
