"""The classes of characters, as the library `tokenizers` sees them: its version of Unicode is not Python's or RE2's."""

from functools import lru_cache
from itertools import chain

import numpy as np
import numpy.typing as npt

from seqline.tokenizers.bpe import CONTRACTIONS

CLASSES = {"letter": r"\p{L}", "number": r"\p{N}", "space": r"\s", "word": r"\w"} | {
    # With case ignored, as in 'S, or the long s.
    f"as_{char}": f"(?i:{char})"
    for char in sorted(set(CONTRACTIONS) - set("'|"))
}
END = 0x34000
"""Above this no character is a letter, a number or a space."""
_CHUNK = 1024


@lru_cache(maxsize=1)
def character_ranges() -> dict[str, list[list[int]]]:
    """Returns the ranges of code points, [first, last], of each class; needs the library."""
    from tokenizers import Regex, normalizers, pre_tokenizers

    found = {}
    for name, pattern in CLASSES.items():
        cutter = pre_tokenizers.Split(Regex(pattern), "removed")
        inside = np.zeros(0x250 if name.startswith("as_") else END, bool)
        for first, text in _texts(len(inside)):
            inside[first : first + len(text)] = True
            for _, (start, stop) in cutter.pre_tokenize_str(text):
                inside[first + start : first + stop] = False
        found[name] = _ranges(inside)
    # The numbers of Digits are Rust's, not those of the regular expressions.
    digits = pre_tokenizers.Digits(individual_digits=True)
    inside = np.zeros(END, bool)
    for first, text in _texts(END, between="\u0301"):
        for piece, (start, _) in digits.pre_tokenize_str(text):
            inside[first + start // 2] |= len(piece) == 1 and start % 2 == 0
    found["digit"] = _ranges(inside)
    codes = [code for code in range(END) if not 0xD800 <= code < 0xE000]
    form, parts = normalizers.NFC(), normalizers.NFD()
    inside, composed = np.zeros(END, bool), np.zeros(END, bool)
    for code in codes:
        # Behind a mark, other marks may compose with the letter; behind anything else they stay.
        inside[code] = form.normalize_str(f"a{chr(code)}\u0301\u0323") != f"a{chr(code)}\u0323\u0301"
        composed[code] = parts.normalize_str(chr(code)) != chr(code)
    found["mark"], found["composed"] = _ranges(inside), _ranges(composed)
    return found


def members(ranges: list[list[int]], size: int = END) -> npt.NDArray[np.bool_]:
    """Returns whether each code point is in a class.

    Args:
        ranges: The class.
        size: Number of code points.
    """
    inside = np.zeros(size, bool)
    for first, last in ranges:
        inside[first : last + 1] = True
    return inside


def _texts(end: int, between: str = "") -> "chain[tuple[int, str]]":
    """Texts of neighbouring code points, each with its first."""
    starts = chain(range(0, 0xD800, _CHUNK), range(0xE000, end, _CHUNK))
    return chain(
        (start, between.join(map(chr, range(start, min(start + _CHUNK, end)))) + between)
        for start in starts
        if start < end
    )


def _ranges(inside: npt.NDArray[np.bool_]) -> list[list[int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False])).astype(np.int8)))
    return [[int(first), int(last) - 1] for first, last in edges.reshape(-1, 2)]
