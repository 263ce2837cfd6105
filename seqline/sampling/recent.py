"""The sampled answers that a server remembers, so that feedback can name them."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace

ANSWERS = 50_000
"""Most answers that are remembered; the oldest are forgotten."""
CHARACTERS = 16_000_000
"""Most characters of their texts; the oldest texts are forgotten with their answers."""
FEEDBACK = 16
"""Most feedback on one answer: whoever repeats it must not fill the log."""


@dataclass(frozen=True, slots=True)
class Known:
    """An answer.

    Attributes:
        version: The version that gave it.
        source: The text; None unless texts are kept.
        output: The answer; None unless texts are kept.
        feedback: How often feedback on it has been taken.
    """

    version: str
    source: str | None = None
    output: str | None = None
    feedback: int = 0

    @property
    def characters(self) -> int:
        """Characters of its texts."""
        return len(self.source or "") + len(self.output or "")


class Recent:
    """Remembers answers; safe for use by the event loop and one thread.

    Args:
        answers: Most answers.
        characters: Most characters of their texts.
    """

    def __init__(self, answers: int = ANSWERS, characters: int = CHARACTERS) -> None:
        self._most, self._most_characters = answers, characters
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def add(self, ids: Iterable[str], version: str) -> None:
        """Remembers answers; one that is known already stays as it is.

        Args:
            ids: Their ids.
            version: The version that gave them.
        """
        known = Known(version)
        with self._lock:
            for id_ in ids:
                self._known.setdefault(id_, known)
            self._shrink()

    def keep(self, texts: Iterable[tuple[str, str | None, str | None]]) -> None:
        """Remembers the texts of answers that are still known.

        Args:
            texts: The id of each, its text and its answer, as they are stored.
        """
        with self._lock:
            for id_, source, output in texts:
                known = self._known.get(id_)
                if known is not None:
                    found = self._known[id_] = replace(known, source=source, output=output)
                    self._characters += found.characters - known.characters
            self._shrink()

    def find(self, id_: str) -> Known | None:
        """Returns an answer; None if it is not known, or not any more.

        Args:
            id_: Its id.
        """
        with self._lock:
            return self._known.get(id_)

    def count_feedback(self, id_: str) -> bool:
        """Counts feedback on an answer that is known.

        Args:
            id_: Its id.

        Returns:
            False if there has been too much of it.
        """
        with self._lock:
            known = self._known.get(id_)
            if known is None or known.feedback >= FEEDBACK:
                return False
            self._known[id_] = replace(known, feedback=known.feedback + 1)
            return True

    def _shrink(self) -> None:
        while len(self._known) > self._most or self._characters > self._most_characters:
            _, forgotten = self._known.popitem(last=False)
            self._characters -= forgotten.characters
