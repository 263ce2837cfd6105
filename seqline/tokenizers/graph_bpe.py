"""Byte-pair encoding in the graph.

Most words are a single token: a table has them. The others are merged together, all words of a batch in one loop, in
which every word merges its pair of the lowest rank.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.tokenizers.bpe import SPACE, Bpe
from seqline.tokenizers.graph_added import AddedTokens
from seqline.tokenizers.graph_cutting import Cutting
from seqline.tokenizers.graph_nfc import Nfc

_NEVER = np.int64(2**62)
_ID_BITS = 31


class GraphBpe(tf.Module):
    """Encodes and decodes as the library `tokenizers` does, special tokens in a text aside: they are text.

    Args:
        bpe: The encoding.
        characters: The classes of characters.
        encodes: Whether it encodes too; decoding alone needs no tables of words and merges, which take seconds to make.
    """

    def __init__(self, bpe: Bpe, characters: dict[str, list[list[int]]], encodes: bool = True) -> None:
        super().__init__()
        self.bpe = bpe
        surfaces, special = bpe.surfaces(), set(bpe.special)
        self.surfaces = tf.constant([b"" if id_ in special else text for id_, text in enumerate(surfaces)])
        byte_ids = bpe.bytes_of()
        self.is_byte = tf.constant([id_ in byte_ids for id_ in range(bpe.size)])
        if not encodes:
            return
        self.cutting = Cutting(bpe.cuts, characters)
        self.nfc = Nfc(characters) if bpe.nfc else None
        raw = [token for token in bpe.added if not token.normalized]
        late = [
            replace(token, content=self._normalized([token.content]).numpy()[0].decode())
            for token in bpe.added
            if token.normalized
        ]
        self.raw, self.late = (
            AddedTokens(tokens, characters) if any(not token.special for token in tokens) else None
            for tokens in (raw, late)
        )
        # In most models no piece has a space after something else: words can be merged one by one.
        self.apart = not any(re.search(f"[^{SPACE}]{SPACE}", piece) for piece in bpe.vocabulary)
        self._make_symbols(surfaces)
        self._make_merges()
        self._make_words(surfaces)

    def encode(self, texts: Any, first: Any = True) -> Any:
        """Tokenizes texts, without the ids of the post-processor.

        Args:
            texts: string `[batch]`, valid UTF-8.
            first: Whether they are the beginnings of texts; bool, or bool `[batch]`.

        Returns:
            int32 ragged `[batch, tokens]`.
        """
        first = tf.broadcast_to(first, tf.shape(texts))
        if not self.raw and not self.late:
            return self._encode_parts(self._normalized(texts), first)
        parts, ids, rows = texts, tf.fill(tf.shape(texts), -1), tf.range(tf.size(texts))
        if self.raw:
            parts, ids, rows = self.raw.split(parts, ids, rows)
        parts = tf.where(ids < 0, self._normalized(parts), parts)
        if self.late:
            parts, ids, rows = self.late.split(parts, ids, rows)
        opening = tf.concat([[True], tf.not_equal(rows[1:], rows[:-1])], axis=0)[: tf.size(rows)]
        known = ids >= 0
        tokens = self._encode_parts(tf.where(known, "", parts), opening & tf.gather(first, rows))
        lengths = tf.cast(known, tf.int64)
        given = tf.RaggedTensor.from_row_lengths(tf.boolean_mask(ids, known), lengths, validate=False)
        tokens = tf.concat([tokens, given], axis=1)
        counts = tf.math.unsorted_segment_sum(tokens.row_lengths(), rows, tf.size(texts))
        return tf.RaggedTensor.from_row_lengths(tokens.flat_values, counts, validate=False)

    def decode(self, ids: Any) -> Any:
        """Joins the tokens of each row; special tokens are left out.

        Args:
            ids: int32 ragged `[batch, tokens]`.

        Returns:
            string `[batch]`: bytes of UTF-8, which may end within a character.
        """
        bpe, rows, number = self.bpe, ids.value_rowids(), ids.nrows()
        flat = ids.flat_values
        # Special tokens and padding have no text.
        inside = flat < bpe.size
        flat = tf.where(inside, flat, 0)
        surfaces = tf.where(inside, tf.gather(self.surfaces, flat), "")
        present = tf.not_equal(surfaces, "")
        rows, flat, surfaces = (tf.boolean_mask(part, present) for part in (rows, flat, surfaces))
        if bpe.strip == "all":
            first = tf.concat([[True], tf.not_equal(rows[1:], rows[:-1])], axis=0)[: tf.size(rows)]
            surfaces = tf.where(first, tf.strings.regex_replace(surfaces, " ", ""), surfaces)
        if bpe.byte_fallback:
            surfaces = self._valid(tf.gather(self.is_byte, flat), surfaces, rows)
        texts = tf.strings.unsorted_segment_join(surfaces, rows, number)
        return tf.strings.regex_replace(texts, "^ ", "") if bpe.strip == "one" else texts

    def listed(self, row: Sequence[int]) -> list[str]:
        """Returns tokens as text, spaces as ▁.

        Args:
            row: Token ids.
        """
        texts = tf.gather(tf.constant(self.bpe.surfaces()), tf.constant(row, tf.int32)).numpy()
        return [text.decode("utf-8", "replace").replace(" ", SPACE) for text in texts]

    def _valid(self, is_byte: Any, surfaces: Any, rows: Any) -> Any:
        """As the decoder ByteFallback: every byte of a run that is not UTF-8 becomes a U+FFFD of its own."""
        same = tf.equal(rows[1:], rows[:-1]) & is_byte[1:] & is_byte[:-1]
        runs = tf.cumsum(tf.cast(tf.concat([[True], ~same], axis=0)[: tf.size(rows)], tf.int32)) - 1
        whole = tf.strings.unsorted_segment_join(surfaces, runs, tf.reduce_max(tf.concat([runs, [0]], axis=0)) + 1)
        broken = tf.not_equal(tf.strings.unicode_transcode(whole, "UTF-8", "UTF-8", errors="replace"), whole)
        return tf.where(is_byte & tf.gather(broken, runs), "\ufffd", surfaces)

    def _normalized(self, texts: Any) -> Any:
        if self.nfc:
            texts = self.nfc(texts)
        if self.bpe.prefix == "always":
            texts = tf.where(tf.equal(texts, ""), "", tf.strings.join([SPACE, texts]))
        return tf.strings.regex_replace(texts, " ", SPACE) if self.bpe.replace else texts

    def _encode_parts(self, parts: Any, first: Any) -> Any:
        """Tokenizes the parts of texts between added tokens; `first` marks those at a text's start."""
        bpe = self.bpe
        if not bpe.byte_level:
            parts = tf.strings.regex_replace(parts, " ", SPACE)
        if bpe.prefix == "missing":
            space = " " if bpe.byte_level else SPACE
            wanted = tf.not_equal(tf.strings.substr(parts, 0, len(space.encode())), space) & tf.not_equal(parts, "")
            if bpe.first_only:
                wanted &= first
            parts = tf.where(wanted, tf.strings.join([space, parts]), parts)
        characters = tf.strings.unicode_decode(parts, "UTF-8")
        words, counts = self._words(characters)
        tokens = self._encode_words(words)
        ends = tf.concat([[0], tf.cumsum(counts)], axis=0)
        splits = tf.gather(tokens.row_splits, ends)
        return tf.RaggedTensor.from_row_splits(tokens.flat_values, splits, validate=False)

    def _words(self, characters: Any) -> tuple[Any, Any]:
        """The words of all parts, string `[words]`, and how many each part has."""
        codes, splits = characters.flat_values, characters.row_splits
        size = tf.size(codes)
        begins = tf.boolean_mask(splits[:-1], splits[1:] > splits[:-1])
        starts = tf.scatter_nd(begins[:, None], tf.ones_like(begins, tf.int32), [size]) > 0
        starts = self.cutting.starts(codes, starts)
        if not self.bpe.byte_level and self.apart:
            space = tf.equal(codes, ord(SPACE))
            starts |= space & ~tf.concat([[False], space], axis=0)[:size]
        first = tf.where(starts)[:, 0]
        words = tf.raw_ops.UnicodeEncode(
            input_values=codes,
            input_splits=tf.concat([first, [tf.cast(size, tf.int64)]], axis=0),
            output_encoding="UTF-8",
            errors="replace",
        )
        words = words[: tf.size(first)]
        before = tf.concat([[0], tf.cumsum(tf.cast(starts, tf.int64))], axis=0)
        ends = tf.gather(before, splits)
        return words, ends[1:] - ends[:-1]

    def _encode_words(self, words: Any) -> Any:
        """int32 ragged `[words, tokens]`."""
        known = self.words.lookup(words)
        missing = known < 0
        others, number = tf.unique(tf.boolean_mask(words, missing), tf.int64)
        merged = self._merged(others)
        offset = merged.nrows()
        singles = tf.boolean_mask(known, ~missing)
        table = tf.concat(
            [merged, tf.RaggedTensor.from_row_lengths(singles, tf.ones_like(singles, tf.int64), validate=False)], axis=0
        )
        rows = tf.where(
            missing,
            tf.gather(tf.concat([number, [0]], axis=0), tf.cumsum(tf.cast(missing, tf.int64), exclusive=True)),
            tf.cumsum(tf.cast(~missing, tf.int64), exclusive=True) + offset,
        )
        return tf.gather(table, rows)

    def _symbols_of(self, words: Any) -> tuple[Any, Any]:
        """The symbols that merging begins with, int32 `[symbols]`, and the word of each."""
        lengths = tf.strings.length(words)
        data = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8), tf.int32)
        owners = tf.repeat(tf.range(tf.size(words)), lengths)
        ids = tf.gather(self.byte_symbols, data)
        if not self.bpe.byte_level:
            leads = tf.not_equal(tf.bitwise.bitwise_and(data, 0xC0), 0x80)
            codes = tf.strings.unicode_decode(words, "UTF-8").flat_values
            whole = tf.gather(self.character_symbols, tf.minimum(codes, self.character_symbols.shape[0] - 1))
            # Every byte knows its character.
            number = tf.cumsum(tf.cast(leads, tf.int32)) - 1
            mine = tf.gather(whole, number)
            known = mine >= 0
            ids = tf.where(known, mine, ids)
            keep = leads | ~known if self.bpe.byte_fallback else leads
            ids, owners = tf.boolean_mask(ids, keep), tf.boolean_mask(owners, keep)
        present = ids >= 0
        if self.bpe.fuse_unknown and not self.bpe.byte_level:
            unknown = tf.equal(ids, self.bpe.unknown)
            same = unknown[1:] & unknown[:-1] & tf.equal(owners[1:], owners[:-1])
            present &= tf.concat([[True], ~same], axis=0)[: tf.size(ids)]
        return tf.boolean_mask(ids, present), tf.boolean_mask(owners, present)

    def _merged(self, words: Any) -> Any:
        """Merges words; int32 ragged `[words, tokens]`."""
        ids, owners = self._symbols_of(words)
        count = tf.size(words)
        _, ids, owners, _ = tf.while_loop(
            lambda best, *_: tf.reduce_any(best < _NEVER),
            lambda best, ids, owners, ranks: self._merge(best, ids, owners, ranks, count),
            self._start(ids, owners, count),
            (tf.TensorShape([None]),) * 4,
            parallel_iterations=1,
        )
        lengths = tf.math.unsorted_segment_sum(tf.ones_like(owners, tf.int64), owners, count)
        return tf.RaggedTensor.from_row_lengths(ids, lengths, validate=False)

    def _start(self, ids: Any, owners: Any, count: Any) -> tuple[Any, Any, Any, Any]:
        ranks = self._ranks(ids, owners, tf.range(tf.size(ids)))
        return tf.math.unsorted_segment_min(ranks, owners, count), ids, owners, ranks

    def _ranks(self, ids: Any, owners: Any, positions: Any) -> Any:
        """The ranks of the pairs that begin at some positions, with what they become in the lower bits."""
        after = tf.minimum(positions + 1, tf.size(ids) - 1)
        left, right = tf.gather(ids, positions), tf.gather(ids, after)
        keys = tf.cast(left, tf.int64) * self.bpe.size + tf.cast(right, tf.int64)
        together = (after > positions) & tf.equal(tf.gather(owners, positions), tf.gather(owners, after))
        return tf.where(together, self.merges.lookup(keys), _NEVER)

    def _merge(self, best: Any, ids: Any, owners: Any, ranks: Any, count: Any) -> tuple[Any, Any, Any, Any]:
        """Merges the best pair of each word, wherever it occurs there."""
        index = tf.range(tf.size(ids))
        hits = tf.equal(ranks, tf.gather(best, owners)) & (ranks < _NEVER)
        if self.ordered:
            # In a run of equal symbols every second pair merges, from the left.
            opens = hits & ~tf.concat([[False], hits[:-1]], axis=0)
            starts = tf.concat([[0], tf.boolean_mask(index, opens)], axis=0)
            hits &= tf.equal((index - tf.gather(starts, tf.cumsum(tf.cast(opens, tf.int32)))) % 2, 0)
        else:
            first = tf.math.unsorted_segment_min(tf.where(hits, index, tf.int32.max), owners, count)
            hits &= tf.equal(index, tf.gather(first, owners))
        ids = tf.where(hits, tf.cast(tf.bitwise.bitwise_and(ranks, 2**_ID_BITS - 1), tf.int32), ids)
        stay = tf.where(~tf.concat([[False], hits[:-1]], axis=0))[:, 0]
        ids, owners, ranks, hits = (tf.gather(part, stay) for part in (ids, owners, ranks, hits))
        changed = tf.where(hits | tf.concat([hits[1:], [False]], axis=0))[:, 0]
        ranks = tf.tensor_scatter_nd_update(
            ranks, changed[:, None], self._ranks(ids, owners, tf.cast(changed, tf.int32))
        )
        return tf.math.unsorted_segment_min(ranks, owners, count), ids, owners, ranks

    def _make_symbols(self, surfaces: list[bytes]) -> None:
        bpe = self.bpe
        if bpe.byte_level:
            ids = {surfaces[id_]: id_ for piece, id_ in bpe.vocabulary.items() if len(piece) == 1}
            symbols = [ids.get(bytes([byte]), bpe.unknown) for byte in range(256)]
        else:
            found = {byte: id_ for id_, byte in bpe.bytes_of().items()}
            symbols = [found.get(byte, bpe.unknown) for byte in range(256)]
            codes = {ord(piece): id_ for piece, id_ in bpe.vocabulary.items() if len(piece) == 1}
            characters = np.full(max(codes, default=0) + 2, -1, np.int32)
            for code, id_ in codes.items():
                characters[code] = id_
            self.character_symbols = tf.constant(characters)
        self.byte_symbols = tf.constant(symbols, tf.int32)

    def _make_merges(self) -> None:
        bpe = self.bpe
        merges = np.array(bpe.merges, np.int64).reshape(-1, 3)
        ranks = np.arange(len(merges), dtype=np.int64)
        # Of a pair that is listed twice, the last counts.
        keys, last = np.unique((merges[:, 0] * bpe.size + merges[:, 1])[::-1], return_index=True)
        last = len(merges) - 1 - last
        values = (ranks[last] << _ID_BITS) | merges[last, 2]
        # Whether a merge never makes a pair of a lower rank: then all occurrences merge at once.
        made = np.full(bpe.size, len(merges), np.int64)
        np.minimum.at(made, merges[:, 2], ranks)
        latest = np.full(bpe.size, -1, np.int64)
        np.maximum.at(latest, merges[:, 2], ranks)
        uses = np.stack([merges[:, 0], merges[:, 1]])
        self.ordered = bool(np.all(latest[uses] < ranks))
        self.merges = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(keys if len(keys) else [-1], tf.int64),
                tf.constant(values if len(keys) else [_NEVER], tf.int64),
            ),
            _NEVER,
        )

    def _make_words(self, surfaces: list[bytes]) -> None:
        """Makes the table of words that are a single token."""
        bpe = self.bpe
        pieces = {}
        for piece, id_ in bpe.vocabulary.items():
            word = surfaces[id_] if bpe.byte_level else piece.encode()
            if word and _is_text(word):
                pieces[word] = id_
        words, ids = list(pieces), np.array(list(pieces.values()), np.int32)
        if not bpe.ignore_merges and words:
            merged = tf.function(self._merged, autograph=False)(tf.constant(words))  # faster than op by op
            single = merged.row_lengths().numpy() == 1
            first = merged.to_tensor(-1)[:, 0].numpy()
            keep = single & (first == ids)
            words, ids = [word for word, kept in zip(words, keep, strict=True) if kept], ids[keep]
        self.words = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(words or [b""]), tf.constant(ids if len(words) else [-1], tf.int32)
            ),
            -1,
        )


def _is_text(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True
