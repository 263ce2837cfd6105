"""Models that take no training: SavedModels with the serving signature and a description."""

import json
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf


def save(folder: Path, change: Callable[[tf.Tensor], tf.Tensor]) -> None:
    """Saves a model that answers with what `change` makes of a text."""

    class Toy(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
        def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"text": change(text), "score": tf.zeros(tf.shape(text)[0])}

    toy = Toy()
    tf.saved_model.save(toy, str(folder), signatures={"serving_default": toy.serve})
    description = {
        "schema_version": 1,
        "fingerprint": folder.name,
        "source_language": "en",
        "target_language": "de",
        "decoding": {"beam_size": 1, "length_penalty": 0.0, "max_input_length": 9, "max_output_length": 9},
        "corpus_fingerprint": "c",
        "created": "2026-01-01T00:00:00+00:00",
        "tensorflow": tf.__version__,
    }
    (folder / "model.json").write_text(json.dumps(description))


def whisper_slowly(text: tf.Tensor) -> tf.Tensor:
    """Takes a second over a text that holds "slow"."""
    slow = tf.reduce_any(tf.strings.regex_full_match(text, ".*slow.*"))
    end = tf.timestamp() + tf.where(slow, tf.constant(1.0, tf.float64), 0.0)
    turns = tf.while_loop(lambda turn: tf.timestamp() < end, lambda turn: (turn + 1,), (tf.constant(0),))
    with tf.control_dependencies(list(turns)):
        return tf.strings.lower(text)


def fail(text: tf.Tensor) -> tf.Tensor:
    """Fails at any text."""
    with tf.control_dependencies([tf.debugging.Assert(tf.size(text) < 0, ["this model is broken"])]):
        return tf.identity(text)


TOYS = {"loud": tf.strings.upper, "quiet": tf.strings.lower, "broken": fail, "slow": whisper_slowly}
