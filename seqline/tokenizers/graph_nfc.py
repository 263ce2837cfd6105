"""NFC in the graph, as the library `tokenizers` does it with its older version of Unicode."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from seqline.normalization import character_class
from seqline.tokenizers.characters import END, members


class Nfc:
    """Normalizes to NFC.

    TensorFlow's Unicode knows marks and compositions that the library's does not. The library leaves them where they
    are: so texts are normalized between them.

    Args:
        characters: The classes of characters: `mark` and `composed` are the library's.
    """

    def __init__(self, characters: dict[str, list[list[int]]]) -> None:
        codes = np.array([code for code in range(0x80, END) if not 0xD800 <= code < 0xE000])
        marks, composed = (members(characters[name])[codes] for name in ("mark", "composed"))
        texts = np.array([f"a{chr(code)}\u0301\u0323".encode() for code in codes])
        found = tf_text.normalize_utf8(texts, "NFC").numpy()
        apart = np.array([f"a{chr(code)}\u0323\u0301".encode() for code in codes])
        unknown = set(codes[(found != apart) & ~marks].tolist())
        single = codes[~composed]
        parts = tf_text.normalize_utf8(np.array([chr(code).encode() for code in single]), "NFD").numpy()
        for code, part in zip(single.tolist(), parts, strict=True):
            if len(decomposed := part.decode()) > 1 and decomposed != chr(code):
                # Its first part is a letter of a new script, its second may be any mark.
                unknown.add(ord(decomposed[0]))
        self.unknown = character_class(unknown) if unknown else ""

    def __call__(self, texts: Any) -> Any:
        """Normalizes texts.

        Args:
            texts: string `[batch]`, valid UTF-8.
        """
        if not self.unknown:
            return tf_text.normalize_utf8(texts, "NFC")
        # A NUL is escaped, and marks where to split.
        escaped = tf.strings.regex_replace(texts, r"\x00", "\0Z")
        pieces = tf.strings.split(tf.strings.regex_replace(escaped, f"({self.unknown})", "\0T\\1\0T"), "\0T")
        flat = tf_text.normalize_utf8(tf.strings.regex_replace(pieces.flat_values, r"\x00Z", "\0"), "NFC")
        return tf.strings.unsorted_segment_join(flat, pieces.value_rowids(), pieces.nrows())
