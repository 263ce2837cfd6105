"""The sampled answers that a server remembers, so that feedback can name them."""

from collections import Counter, OrderedDict
from typing import NamedTuple

ANSWERS = 50_000
"""Most answers that are remembered; the oldest are forgotten."""
CHARACTERS = 16_000_000
"""Most characters of their texts; the oldest texts are forgotten with their answers."""
FEEDBACK = 16
"""Most feedback on one answer: whoever repeats it must not fill the log."""


Fields = tuple[str, str | None, str | None, bool]


class Known(NamedTuple):
    """An answer.

    Attributes:
        version: The version that gave it.
        source: The text; None unless texts are stored.
        output: The answer; None unless texts are stored.
        redacted: Whether the texts are as they are stored, not as they were served.
    """

    version: str
    source: str | None = None
    output: str | None = None
    redacted: bool = False


class Recent:
    """Remembers answers. For one thread.

    Args:
        answers: Most answers.
        characters: Most characters of their texts.
    """

    def __init__(self, answers: int = ANSWERS, characters: int = CHARACTERS) -> None:
        self._most, self._most_characters = answers, characters
        # Plain tuples with the fields of Known, which the garbage collector leaves alone.
        self._known: OrderedDict[str, Fields] = OrderedDict()
        self._characters = 0
        self._feedback: Counter[str] = Counter()

    def add(self, id_: str, known: Fields) -> None:
        """Remembers an answer; one that is known already stays as it is.

        Args:
            id_: Its id.
            known: The fields of `Known`.
        """
        if self._known.setdefault(id_, known) is not known:
            return
        self._characters += _characters(known)
        while len(self._known) > self._most or self._characters > self._most_characters:
            oldest, forgotten = self._known.popitem(last=False)
            self._characters -= _characters(forgotten)
            self._feedback.pop(oldest, None)

    def find(self, id_: str) -> Known | None:
        """Returns an answer; None if it is not known, or not any more.

        Args:
            id_: Its id.
        """
        known = self._known.get(id_)
        return Known._make(known) if known else None

    def count_feedback(self, id_: str) -> bool:
        """Counts feedback on an answer that is known.

        Args:
            id_: Its id.

        Returns:
            False if there has been too much of it.
        """
        if id_ not in self._known or self._feedback[id_] >= FEEDBACK:
            return False
        self._feedback[id_] += 1
        return True


def _characters(known: Fields) -> int:
    _, source, output, _ = known
    return len(source or "") + len(output or "")
