"""The normalization of `seqline.normalization` in the graph: a text gets the same tokens in serving as in training."""

from typing import Any

import tensorflow as tf
import tensorflow_text as tf_text

from seqline.normalization import INVISIBLE, blanks, character_class


def normalized(text: Any) -> Any:
    """Normalizes texts as `clean` does.

    Args:
        text: string `[batch]`, UTF-8.

    Returns:
        string `[batch]`.
    """
    text = tf.strings.regex_replace(text, character_class(map(ord, INVISIBLE)), "")
    text = tf_text.normalize_utf8(text, "NFC")
    return tf.strings.strip(tf.strings.regex_replace(text, character_class(map(ord, [" ", *blanks()])) + "+", " "))
