"""Cutting texts into words in the graph, as the regular expressions of tokenizer.json do.

RE2, TensorFlow's library, has no look-ahead, and another version of Unicode. So each rule is written as a condition on
the characters around a boundary, and computed for all characters of a batch at once.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from seqline.tokenizers.bpe import SPACE, Cut
from seqline.tokenizers.characters import END, members

_NAMES = ("letter", "number", "space", "digit")
_SHORT, _LONG = "stmd", (("r", "e"), ("v", "e"), ("l", "l"))


class Cutting:
    """Finds where words start.

    Args:
        cuts: The rules, one after the other.
        characters: The classes of characters.
    """

    def __init__(self, cuts: list[Cut], characters: dict[str, list[list[int]]]) -> None:
        self.cuts = cuts
        bits = np.zeros(END, np.uint8)
        for bit, name in enumerate(_NAMES):
            bits |= members(characters.get(name, [])).astype(np.uint8) << bit
        # No rule tells characters of no class apart: the last entry stands for all beyond it.
        size = int(np.flatnonzero(bits).max(initial=0)) + 2
        self.bits = tf.constant(bits[:size])
        self.folded = {
            name[3:]: np.flatnonzero(members(ranges, 0x250)).tolist()
            for name, ranges in characters.items()
            if name.startswith("as_")
        }

    def starts(self, codes: Any, starts: Any) -> Any:
        """Marks the first character of each word.

        Args:
            codes: int32 `[characters]`: code points of all texts, one text after the other.
            starts: bool `[characters]`: the first character of each text.
        """
        bits = tf.cast(tf.gather(self.bits, tf.minimum(codes, self.bits.shape[0] - 1)), tf.int32)
        classes = {name: tf.not_equal(tf.bitwise.bitwise_and(bits, 1 << bit), 0) for bit, name in enumerate(_NAMES)}
        for cut in self.cuts:
            around = _Around(codes, starts, classes)
            if cut in ("digits", "digit_runs"):
                digit = classes["digit"]
                changes = tf.not_equal(digit, around.before(digit))
                starts |= changes | digit if cut == "digits" else changes
            elif cut == "spaces":
                starts |= tf.equal(codes, ord(SPACE))
            elif cut == "gpt2":
                starts = self._classic(around)
            else:
                starts = self._modern(around, 3 if cut == "llama3" else 1)
        return starts

    def _classic(self, at: "_Around") -> Any:
        r"""`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`."""
        plain = tf.equal(at.codes, ord(" "))
        same = (at.letter & at.before(at.letter)) | (at.number & at.before(at.number))
        same |= at.other & at.before(at.other)
        found = tf.where(at.space, ~at.before(at.space) | at.last_space, ~same & ~at.before(plain))
        found |= at.starts
        return self._contractions(at, found, {char: [ord(char)] for char in "stmdrevl"})

    def _modern(self, at: "_Around", digits: int) -> Any:
        r"""The same with `[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|…`."""
        plain, line = tf.equal(at.codes, ord(" ")), tf.equal(at.codes, 10) | tf.equal(at.codes, 13)
        blank = at.space & ~line
        before_line, before_blank = at.before(line), at.before(blank)
        # Line breaks right after a symbol belong to it; those after other spaces end a word of spaces.
        line_run = line & ~before_line
        after_other = line & at.at_run_start(line_run, at.before(at.other))
        space_run = at.space & ~at.before(at.space)
        line_ahead = at.space & (at.last_in_run(space_run, line) > at.index)
        in_spaces = tf.where(
            line,
            tf.zeros_like(line),
            tf.where(before_line, at.before(after_other) | ~line_ahead, at.last_space),
        )
        spaces = tf.where(at.before(at.space), in_spaces, ~(line & at.before(at.other)))
        # A symbol that begins a word takes in the letters after it.
        opening = at.other & ~at.before(at.other) & ~at.before(plain)
        letters = ~(at.before(at.letter) | before_blank | at.before(opening))
        numbers = tf.equal((at.index - at.run_start(at.number & ~at.before(at.number))) % digits, 0)
        others = ~(at.before(at.other) | at.before(plain))
        found = tf.where(at.space, spaces, tf.where(at.letter, letters, tf.where(at.number, numbers, others)))
        return self._contractions(at, found | at.starts, self.folded)

    def _contractions(self, at: "_Around", found: Any, folded: dict[str, list[int]]) -> Any:
        """Cuts 's, 't, 'm, 'd, 're, 've and 'll off, where a word begins with them."""

        def one(chars: list[int], steps: int) -> Any:
            codes = at.after(at.codes, steps, -1)
            return tf.reduce_any(tf.equal(codes[:, None], [chars]), axis=1)

        opens = tf.equal(at.codes, ord("'")) & found
        short = opens & one([code for char in _SHORT for code in folded[char]], 1)
        long = tf.zeros_like(opens)
        for first, second in _LONG:
            long |= opens & one(folded[first], 1) & one(folded[second], 2)
        found &= ~(at.before(short | long) & ~at.starts)
        return found | at.shifted(short, 2) | at.shifted(long, 3)


class _Around:
    """The characters around each character, within its part of a text; nothing is there beyond the part's ends."""

    def __init__(self, codes: Any, starts: Any, classes: dict[str, Any]) -> None:
        self.codes, self.starts = codes, starts
        self.letter, self.number, self.space = (classes[name] for name in ("letter", "number", "space"))
        self.other = ~(self.letter | self.number | self.space)
        self.index = tf.range(tf.size(codes))
        self.part = tf.cumsum(tf.cast(starts, tf.int32))
        ahead = self.after(tf.cast(self.space, tf.int32), 1, -1)
        self.last_space = self.space & tf.equal(ahead, 0)
        """The last space before something else; not at the end of a part."""

    def before(self, marks: Any) -> Any:
        """Whether the character before is marked."""
        return self.shifted(marks, 1) & ~self.starts

    def after(self, values: Any, steps: int, missing: int) -> Any:
        """The value of a character further on; `missing` beyond the part."""
        moved = tf.concat([values[steps:], tf.fill([tf.minimum(steps, tf.size(values))], missing)], axis=0)
        part = tf.concat([self.part[steps:], tf.fill([tf.minimum(steps, tf.size(values))], 0)], axis=0)
        return tf.where(tf.equal(part, self.part), moved, missing)

    def shifted(self, marks: Any, steps: int) -> Any:
        """The marks, moved on."""
        moved = tf.concat([tf.zeros([steps], tf.bool), marks], axis=0)
        return moved[: tf.size(marks)]

    def run_start(self, starts: Any) -> Any:
        """Index of the last start at or before each character; 0 before the first."""
        numbers = tf.cumsum(tf.cast(starts, tf.int32))
        indices = tf.concat([[0], tf.boolean_mask(self.index, starts)], axis=0)
        return tf.gather(indices, numbers)

    def at_run_start(self, starts: Any, marks: Any) -> Any:
        """Whether the last start at or before each character is marked."""
        numbers = tf.cumsum(tf.cast(starts, tf.int32))
        return tf.gather(tf.concat([[False], tf.boolean_mask(marks, starts)], axis=0), numbers)

    def last_in_run(self, starts: Any, marks: Any) -> Any:
        """Index of the last mark of each character's run; -1 for none."""
        numbers = tf.cumsum(tf.cast(starts, tf.int32))
        count = tf.reduce_sum(tf.cast(starts, tf.int32)) + 1
        found = tf.math.unsorted_segment_max(tf.where(marks, self.index, -1), numbers, count)
        return tf.gather(tf.maximum(found, -1), numbers)
