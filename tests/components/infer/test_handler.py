"""The model handler, with a function instead of a model's signature."""

import json
import threading
from typing import Any

import pytest
import tensorflow as tf

from seqline.components.infer.handler import Lines, SignatureHandler
from seqline.components.infer.lines import Line
from seqline.components.infer.shards import Shard

SHARD = Shard(0, "in.txt", "in.txt", 0, 10, 1)
TEXTS = ["a", "bbb", "cc", "bbb", "dddd"]


def test_batches_run_at_once_and_predictions_are_in_the_order_of_the_lines() -> None:
    both, batches = threading.Barrier(2), []

    def signature(text: Any) -> dict[str, Any]:
        both.wait(60)
        batches.append([one.decode() for one in text.numpy()])
        return {"text": tf.strings.upper(text), "score": tf.cast(tf.strings.length(text), tf.float32)}

    lines = [Line(text, text) for text in TEXTS]
    (predicted,) = SignatureHandler("model", 2, 2).run_inference([Lines(SHARD, lines)], signature)
    expected = [{"instance": text, "prediction": {"text": text.upper(), "score": len(text)}} for text in TEXTS]
    assert [json.loads(line) for line in predicted.lines] == expected
    assert sorted(batches) == [["cc", "a"], ["dddd", "bbb"]]


def test_an_error_of_the_model_is_raised() -> None:
    def signature(text: Any) -> dict[str, Any]:
        raise tf.errors.ResourceExhaustedError(None, None, "memory")

    with pytest.raises(tf.errors.ResourceExhaustedError, match="memory"):
        list(SignatureHandler("model", 1, 2).run_inference([Lines(SHARD, [Line("a", "a")] * 3)], signature))
