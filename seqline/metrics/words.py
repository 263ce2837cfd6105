"""Splits texts word by word, and each word once: most words of a text occur again and again."""

from collections.abc import Callable
from functools import lru_cache

REMEMBERED = 1 << 17  # words; an eighth of a million is more than most test texts have


class WordByWord:
    """A tokenizer for which words that spaces part are strangers to each other, with what it made of each kept."""

    def __init__(self, split: Callable[[str], list[str]]) -> None:
        """Takes the tokenizer.

        Args:
            split: Splits a text, such that the tokens of a text are those of its words, one after the other.
        """
        self._tokens = lru_cache(REMEMBERED)(split)

    def __call__(self, text: str) -> list[str]:
        """The tokens of a text.

        Args:
            text: Any text.
        """
        tokens = self._tokens
        return [token for word in text.split() for token in tokens(word)]
