"""Tokenizes texts word by word, and caches the tokens of each word."""

from collections.abc import Callable
from functools import lru_cache

CACHE_SIZE = 1 << 17  # words; more than most test sets have


class WordByWord:
    """A tokenizer that handles each word on its own, with a cache of their tokens."""

    def __init__(self, split: Callable[[str], list[str]]) -> None:
        """Wraps a tokenizer.

        Args:
            split: The tokenizer; its tokens of a text must be the concatenated tokens of the words.
        """
        self._tokens = lru_cache(CACHE_SIZE)(split)

    def __call__(self, text: str) -> list[str]:
        """Returns the tokens of a text.

        Args:
            text: Any text.
        """
        tokens = self._tokens
        return [token for word in text.split() for token in tokens(word)]
