"""The tokenizer in the exported graph, with core TensorFlow and tensorflow-text."""

from typing import Any

import tensorflow as tf

from seqline.artifacts.text_tokenizer import TextTokenizer
from seqline.tokenizers.bpe import read_bpe
from seqline.tokenizers.chats import MARK
from seqline.tokenizers.graph_bpe import GraphBpe
from seqline.tokenizers.graph_sentencepiece import GraphSentencePiece
from seqline.tokenizers.host import BPE


class GraphTokenizer(tf.Module):
    """A tokenizer with its prompt; its ids and texts equal those of `HostTokenizer`.

    Args:
        tokenizer: The description.
        encodes: Whether it encodes too; a tokenizer that only decodes is made faster.
    """

    def __init__(self, tokenizer: TextTokenizer, encodes: bool = True) -> None:
        super().__init__()
        self.prompt = tokenizer.prompt
        self.special = tf.constant(sorted({*tokenizer.special, tokenizer.pad, tokenizer.end}), tf.int32)
        self.bytewise = tokenizer.kind == "bpe"
        if self.bytewise:
            self.library: Any = GraphBpe(read_bpe(tokenizer.file(BPE)), tokenizer.characters, encodes)
        else:
            self.library = GraphSentencePiece(tokenizer)

    def encode_sources(self, texts: Any, limit: int) -> tuple[Any, Any]:
        """Tokenizes sources with their prompt; of a longer one than the limit, the source's end is cut off.

        Args:
            texts: string `[batch]`, normalized.
            limit: Largest number of tokens, without the end that the model appends.

        Returns:
            int32 ragged `[batch, tokens]`, and whether each was cut, bool `[batch]`.
        """
        prompt = self.prompt
        if prompt.before or prompt.after:
            texts = tf.strings.join([prompt.before, texts, prompt.after])
        tokens = self._encode(texts, target=False)
        room = limit - prompt.tokens
        cut = tokens.row_lengths() > room
        if prompt.after:
            # What is behind the source stays: its tokens are those that it has alone.
            ending = self._encode(tf.constant([prompt.after]), target=True)[0]
            start = tf.maximum(room - tf.size(ending), 0)
            ended = tf.concat([tokens[:, :start], _repeated(ending[:room], tokens.nrows())], axis=1)
            tokens = tf.concat([_where(cut, ended), _where(~cut, tokens)], axis=1)
        else:
            tokens = tokens[:, : max(room, 0)]
        parts = [_repeated(prompt.head, tokens.nrows()), tokens, _repeated(prompt.tail, tokens.nrows())]
        return (tf.concat(parts, axis=1) if prompt.tokens else tokens), cut

    def encode_chats(self, texts: Any, limit: int) -> tuple[Any, Any]:
        """Tokenizes chats; of a longer one than the limit, the end is cut off.

        Args:
            texts: string `[batch]`: marked texts, see `seqline.tokenizers.chats`.
            limit: Largest number of tokens.

        Returns:
            int32 ragged `[batch, tokens]`, and whether each was cut, bool `[batch]`.
        """
        pieces = tf.strings.split(texts, MARK)
        flat, owners = pieces.flat_values, pieces.value_rowids()
        places = tf.range(tf.size(flat, tf.int64)) - tf.gather(pieces.row_starts(), owners)
        special = tf.equal(places % 2, 1)
        ids = tf.strings.to_number(tf.boolean_mask(flat, special), tf.int32)
        valid = tf.strings.unicode_transcode(tf.where(special, "", flat), "UTF-8", "UTF-8", errors="replace")
        # Behind a special token, a text is no text's beginning.
        tokens = self.library.encode(valid, first=tf.equal(places, 0)) if self.bytewise else self.library.encode(valid)
        given = tf.RaggedTensor.from_row_lengths(ids, tf.cast(special, tf.int64), validate=False)
        tokens = tf.concat([given, tokens], axis=1)
        counts = tf.math.unsorted_segment_sum(tokens.row_lengths(), owners, pieces.nrows())
        rows = tf.RaggedTensor.from_row_lengths(tokens.flat_values, counts, validate=False)
        return rows[:, :limit], counts > limit

    def encode_targets(self, texts: Any, limit: int) -> tuple[Any, Any]:
        """Tokenizes targets; longer ones than the limit are cut off.

        Args:
            texts: string `[batch]`, normalized.
            limit: Largest number of tokens, without the end that the model appends.

        Returns:
            int32 ragged `[batch, tokens]`, and whether each was cut, bool `[batch]`.
        """
        if self.prompt.target:
            texts = tf.strings.join([self.prompt.target, texts])
        tokens = self._encode(texts, target=True)
        return tokens[:, :limit], tokens.row_lengths() > limit

    def decode(self, ids: Any, complete: Any = True) -> Any:
        """Returns the texts of targets.

        Args:
            ids: int32 `[batch, length]`, also ragged; special tokens are ignored.
            complete: bool, or bool `[batch]`: whether a text has ended. Of others, the bytes of an unfinished character
                at the end are held back.

        Returns:
            string `[batch]`, valid UTF-8.
        """
        tokens = ids if isinstance(ids, tf.RaggedTensor) else tf.RaggedTensor.from_tensor(ids)
        flat = tokens.flat_values
        kept = tf.reduce_all(tf.not_equal(flat[:, None], self.special), axis=1) & (flat >= 0)
        raw = self.library.decode(tf.ragged.boolean_mask(tokens, tokens.with_flat_values(kept)))
        texts = tf.strings.unicode_transcode(raw, "UTF-8", "UTF-8", errors="replace") if self.bytewise else raw
        if complete is not True:
            # A model's own U+FFFD at the end comes with the next token.
            held = tf.strings.regex_replace(texts, "\\x{FFFD}+$", "")
            texts = tf.where(complete, texts, held)
        if self.prompt.target:
            texts = tf.strings.regex_replace(texts, f"^{self.prompt.target}", "")
        return texts

    def _encode(self, texts: Any, target: bool) -> Any:
        valid = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        if self.bytewise:
            return self.library.encode(valid, first=not (target or self.prompt.inside))
        return self.library.encode(valid, target)


def _repeated(ids: Any, rows: Any) -> Any:
    """The same ids in each row, ragged."""
    ids = tf.convert_to_tensor(ids, tf.int32)
    size = tf.cast(tf.size(ids), tf.int64)
    return tf.RaggedTensor.from_uniform_row_length(tf.tile(ids, [rows]), size, rows)


def _where(mask: Any, tokens: Any) -> Any:
    """The rows where a mask is set; the others are empty."""
    flat = tf.repeat(mask, tokens.row_lengths())
    lengths = tf.where(mask, tokens.row_lengths(), 0)
    return tf.RaggedTensor.from_row_lengths(tf.boolean_mask(tokens.flat_values, flat), lengths, validate=False)
