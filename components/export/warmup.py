"""Warm-up requests, which TensorFlow Serving runs before it serves the model.

assets.extra/tf_serving_warmup_requests is a TFRecord file of PredictionLog messages
(tensorflow_serving/apis/prediction_log.proto). They are encoded here by hand, because the package that defines them
installs TensorFlow Serving's whole client.
"""

from pathlib import Path

import tensorflow as tf

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
# Field numbers of prediction_log.proto, predict.proto and model.proto.
PREDICT_LOG, REQUEST, MODEL_SPEC, INPUTS, KEY, VALUE, SIGNATURE_NAME = 6, 1, 1, 2, 1, 2, 3


def write_warmup(model: Path, texts: list[str]) -> None:
    """Writes requests to `serving_default`: one text, and all texts together.

    Args:
        model: The exported model's folder.
        texts: The inputs.
    """
    (model / FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(model / FILE)) as file:
        for batch in (texts[:1], texts):
            tensor = tf.make_tensor_proto(batch, tf.string).SerializeToString()
            entry = _field(KEY, b"text") + _field(VALUE, tensor)
            spec = _field(SIGNATURE_NAME, b"serving_default")
            file.write(_field(PREDICT_LOG, _field(REQUEST, _field(MODEL_SPEC, spec) + _field(INPUTS, entry))))


def _field(number: int, content: bytes) -> bytes:
    """Encodes a length-delimited field of protocol buffers."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    head = bytes([number & 127 | 128]) if number > 127 else b""
    return head + _varint(number >> 7) if head else bytes([number])
