"""Tokens as text, with the tokenizer of the corpus."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
import tensorflow_text


class Detokenizer:
    """Turns token ids back into text.

    Args:
        tokenizer: The SentencePiece model.
    """

    def __init__(self, tokenizer: Path) -> None:
        self.tokenizer = tensorflow_text.SentencepieceTokenizer(tokenizer.read_bytes(), out_type=tf.int32)

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Joins the tokens of each row to a text.

        Args:
            rows: Token ids, without `bos` and `eos`.
        """
        ragged = tf.ragged.constant([list(map(int, row)) for row in rows], dtype=tf.int32, ragged_rank=1)
        return [text.decode("utf-8", "replace") for text in self.tokenizer.detokenize(ragged).numpy()]

    def tokens(self, row: Sequence[int]) -> list[str]:
        """Returns the tokens of a row as the vocabulary lists them, such as ▁house.

        Args:
            row: Token ids.
        """
        return [token.decode("utf-8") for token in self.tokenizer.id_to_string(tf.constant(row, tf.int32)).numpy()]
