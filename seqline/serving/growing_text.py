"""The part of a growing text that a client may see: without stop sequences, and without what may still change."""

REPLACEMENT = "\ufffd"  # of a character whose bytes are incomplete


def ended_at(text: str, stop: tuple[str, ...]) -> int:
    """Returns the position of the first stop sequence; -1 if there is none.

    Args:
        text: An output.
        stop: The stop sequences.
    """
    return min((text.find(one) for one in stop if one in text), default=-1)


class GrowingText:
    """An output that grows token by token.

    Args:
        stop: Texts at which it ends.

    Attributes:
        stopped: Whether a stop sequence ended it.
    """

    def __init__(self, stop: tuple[str, ...] = ()) -> None:
        self._stop, self._sent, self.stopped = stop, "", False

    def added(self, text: str, last: bool = False) -> str:
        """Returns what is new, without an incomplete character and without what may begin a stop sequence.

        Args:
            text: The whole output so far.
            last: Whether it is complete; then nothing is withheld.
        """
        if self.stopped:
            return ""
        end = ended_at(text, self._stop)
        if end >= 0:
            self.stopped, text = True, text[:end]
        elif not last:
            text = text.rstrip(REPLACEMENT)
            text = text[: len(text) - self._possible_stop(text)]
        if not text.startswith(self._sent):
            return ""
        new, self._sent = text[len(self._sent) :], text
        return new

    def _possible_stop(self, text: str) -> int:
        """Length of the longest end of the text that begins a stop sequence."""
        longest = max(map(len, self._stop), default=1) - 1
        for size in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stop):
                return size
        return 0
