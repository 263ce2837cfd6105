"""Tokens as text, with the tokenizer of the corpus."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from seqline.tokenizers.graph import GraphTokenizer
from seqline.tokenizers.host import read_tokenizer


class Detokenizer:
    """Turns token ids back into text.

    Args:
        tokenizer: The tokenizer's file.
    """

    def __init__(self, tokenizer: Path) -> None:
        self.description = read_tokenizer(tokenizer.read_bytes(), str(tokenizer))
        self.tokenizer = GraphTokenizer(self.description, encodes=False)

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Joins the tokens of each row to a text.

        Args:
            rows: Token ids, without `bos` and `eos`.
        """
        ragged = tf.ragged.constant([list(map(int, row)) for row in rows], dtype=tf.int32, ragged_rank=1)
        return [text.decode() for text in self.tokenizer.decode(ragged).numpy()]

    def tokens(self, row: Sequence[int]) -> list[str]:
        """Returns the tokens of a row as the vocabulary lists them, such as ▁house; those of bytes as their text.

        Args:
            row: Token ids.
        """
        return self.tokenizer.library.listed(row)
