"""Added tokens in the graph, as `AddedVocabulary` of `tokenizers` finds them in a text."""

import re
from typing import Any

import tensorflow as tf

from seqline.normalization import character_class
from seqline.tokenizers.bpe import Added


class AddedTokens(tf.Module):
    """Splits texts at added tokens. Special tokens are found too, so that no other begins within one, and stay text.

    Args:
        tokens: The tokens that are looked for together.
        characters: The classes of characters.
    """

    def __init__(self, tokens: list[Added], characters: dict[str, list[list[int]]]) -> None:
        super().__init__()
        self.tokens = tokens
        codes = {
            name: [code for first, last in ranges for code in range(first, last + 1)]
            for name, ranges in characters.items()
            if name in ("space", "word")
        }
        space = character_class(codes["space"])
        longest_first = sorted(tokens, key=lambda token: -len(token.content.encode()))
        self.pattern = "|".join(
            (f"{space}*" if token.lstrip and not token.special else "")
            + re.sub(r"([^\w\s]|\s)", lambda match: rf"\x{{{ord(match[0]):X}}}", token.content)
            + (f"{space}*" if token.rstrip and not token.special else "")
            for token in longest_first
        )
        self.spaces = (f"^{space}+", f"{space}+$")
        word = character_class(codes["word"])
        self.ends_in_word, self.starts_with_word = f"(?s).*{word}$", f"(?s)^{word}.*"
        contents = [token.content for token in tokens]
        # A token may itself begin or end with spaces, which stay in the text that is looked up.
        self.keep_spaces = any(content != content.strip() for content in contents)
        ids = [-1 if token.special else token.id for token in tokens]
        self.ids = self._table(contents, ids)
        self.alone = self._table(contents, [int(token.single_word) for token in tokens])

    def split(self, parts: Any, ids: Any, rows: Any) -> tuple[Any, Any, Any]:
        """Splits parts of texts at the tokens.

        Args:
            parts: string `[parts]`.
            ids: int32 `[parts]`: the token that a part is; -1 for text.
            rows: int32 `[parts]`: the text of each part.

        Returns:
            The same of all new parts.
        """
        text = tf.where(ids < 0, parts, "")
        # The regex_split of tensorflow-text ends at a NUL; so a NUL is escaped, and marks where to split.
        text = tf.strings.regex_replace(text, r"\x00", "\0Z")
        pieces = tf.strings.split(tf.strings.regex_replace(text, f"({self.pattern})", "\0T\\1\0T"), "\0T")
        flat, owner = tf.strings.regex_replace(pieces.flat_values, r"\x00Z", "\0"), pieces.value_rowids()
        present = tf.not_equal(flat, "")
        flat, owner = tf.boolean_mask(flat, present), tf.boolean_mask(owner, present)
        found = self.ids.lookup(flat)
        stripped = flat
        for pattern in self.spaces:
            stripped = tf.strings.regex_replace(stripped, pattern, "")
        found = tf.where(found < 0, self.ids.lookup(stripped), found) if not self.keep_spaces else found
        same = tf.equal(owner[1:], owner[:-1])
        none = tf.zeros([tf.minimum(tf.size(owner), 1)], tf.bool)
        after_word = tf.concat([none, same & tf.strings.regex_full_match(flat[:-1], self.ends_in_word)], axis=0)
        before_word = tf.concat([same & tf.strings.regex_full_match(flat[1:], self.starts_with_word), none], axis=0)
        touching = (self.alone.lookup(stripped) > 0) & (after_word | before_word)
        found = tf.where(touching, -1, found)
        # Neighbouring pieces of text are one piece.
        joined = tf.concat([none, same & (found[1:] < 0) & (found[:-1] < 0)], axis=0)
        group = tf.cumsum(tf.cast(~joined, tf.int32)) - 1
        count = tf.reduce_max(tf.concat([group, [-1]], axis=0)) + 1
        whole = tf.strings.unsorted_segment_join(flat, group, count)
        heads = tf.boolean_mask(owner, ~joined)
        new_ids = tf.boolean_mask(found, ~joined)
        # Parts that are tokens already stay in their order.
        kept = tf.where(ids >= 0)[:, 0]
        every = tf.concat([heads, kept], axis=0)
        order = tf.argsort(every, stable=True)
        return (
            tf.gather(tf.concat([whole, tf.gather(parts, kept)], axis=0), order),
            tf.gather(tf.concat([new_ids, tf.gather(ids, kept)], axis=0), order),
            tf.gather(rows, tf.gather(every, order)),
        )

    def _table(self, contents: list[str], values: list[int]) -> Any:
        initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(contents), tf.constant(values, tf.int32))
        return tf.lookup.StaticHashTable(initializer, -1)
