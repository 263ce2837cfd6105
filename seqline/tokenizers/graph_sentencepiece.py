"""SentencePiece in the graph, with the model's numbering or that of a checkpoint."""

import json
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text

from seqline.artifacts.text_tokenizer import MODEL, TextTokenizer
from seqline.tokenizers.bpe import SPACE
from seqline.tokenizers.sentencepiece_files import TARGET, VOCABULARY, processor, surface


class GraphSentencePiece(tf.Module):
    """Encodes and decodes as SentencePiece does, special pieces in a text aside: they are text.

    Args:
        tokenizer: The description, of kind sentencepiece.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.size = 0
        library = processor(tokenizer.file(MODEL))
        self.pieces = {id_: library.id_to_piece(id_) for id_ in range(library.vocab_size())}
        self.numbered = bool(tokenizer.file(VOCABULARY))
        out_type = tf.string if self.numbered else tf.int32
        self.source = tf_text.SentencepieceTokenizer(model=tokenizer.file(MODEL), out_type=out_type)
        self.target = self.source
        if self.numbered:
            if tokenizer.file(TARGET):
                self.target = tf_text.SentencepieceTokenizer(model=tokenizer.file(TARGET), out_type=tf.string)
            numbers: dict[str, int] = json.loads(tokenizer.file(VOCABULARY))
            self.pieces = {id_: piece for piece, id_ in numbers.items()}
            self.ids = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(list(numbers)), tf.constant(list(numbers.values()), tf.int32)
                ),
                tokenizer.unknown,
            )
            surfaces = [""] * tokenizer.vocabulary_size
            for piece, id_ in numbers.items():
                surfaces[id_] = "" if id_ in tokenizer.special else surface(piece)
            self.surfaces = tf.constant(surfaces)
        else:
            self.size = int(self.source.vocab_size())
            self.opening = self._opening(library)

    def encode(self, texts: Any, target: bool = False) -> Any:
        """Tokenizes texts.

        Args:
            texts: string `[batch]`, valid UTF-8.
            target: Whether they are targets, for which there may be a model of their own.

        Returns:
            int32 ragged `[batch, tokens]`.
        """
        tokens = (self.target if target else self.source).tokenize(texts)
        return tokens.with_flat_values(self.ids.lookup(tokens.flat_values)) if self.numbered else tokens

    def decode(self, ids: Any) -> Any:
        """Joins the tokens of each row.

        Args:
            ids: int32 ragged `[batch, tokens]`, without special tokens.

        Returns:
            string `[batch]`, valid UTF-8.
        """
        if not self.numbered:
            # A vocabulary may have more ids than the model has pieces.
            known = tf.ragged.boolean_mask(ids, ids < self.size)
            if self.opening < 0:
                return self.source.detokenize(known)
            first = tf.fill(tf.stack([known.nrows(out_type=tf.int32), 1]), self.opening)
            texts = self.source.detokenize(tf.concat([first, known], axis=1))
            return tf.strings.regex_replace(texts, "^x ?", "")
        known = tf.ragged.boolean_mask(ids, ids < self.surfaces.shape[0])
        texts = tf.strings.reduce_join(known.with_flat_values(tf.gather(self.surfaces, known.flat_values)), axis=1)
        return tf.strings.strip(tf.strings.regex_replace(texts, SPACE, " "))

    def listed(self, row: Sequence[int]) -> list[str]:
        """Returns tokens as the vocabulary lists them, such as ▁house.

        Args:
            row: Token ids.
        """
        return [self.pieces.get(id_, "") for id_ in row]

    def _opening(self, library: Any) -> int:
        """Returns the id of "x" if the op, of an older version, removes more leading spaces than the library does.

        Behind it, the op keeps all spaces.
        """
        space, opening = library.piece_to_id(SPACE), library.piece_to_id("x")
        if library.is_unknown(space) or library.is_unknown(opening):
            return -1
        row = [space, space, opening]
        (found,) = self.source.detokenize(tf.constant([row])).numpy()
        return opening if found.decode() != library.decode(row) == " x" else -1
