"""Decoding time by output length, for `benchmarks.decode`; runs in each engine's own environment."""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.timing import fastest

Decode = Callable[[int], Any]
"""Decodes the task's texts to outputs of this many tokens."""


def main() -> None:
    """Measures each of the task's lengths; the first run is a warm-up, the best of three more counts."""
    task = json.load(sys.stdin)
    decode = ctranslate2_decode(task) if "quantization" in task else seqline_decode(task)
    print(json.dumps({"seconds": [fastest(partial(decode, length), 3) for length in task["lengths"]]}))


def seqline_decode(task: dict[str, Any]) -> Decode:
    """Returns a call of Seqline's `parameters` signature.

    Args:
        task: `checkpoint`, `length_penalty`, `lengths` and `texts`.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    from seqline.artifacts.checkpoint import Checkpoint
    from seqline.artifacts.exported_model import Decoding
    from seqline.components.export.program import SAMPLING, SEARCHING, Program
    from seqline.decoding.search_options import Search
    from seqline.modeling.architectures import make_model
    from seqline.modeling.config import TransformerConfig

    checkpoint = Checkpoint(Path(task["checkpoint"]))
    model = make_model(TransformerConfig.from_dict(checkpoint.read_config().model))
    model.load_weights(checkpoint.weights)
    decoding = Decoding(4, task["length_penalty"], max_output_length=max(task["lengths"]))
    signature = Program(model, checkpoint.tokenizer, decoding).signatures()["parameters"]
    texts = tf.constant(task["texts"])
    types = {**SEARCHING, **SAMPLING}

    def decode(length: int) -> Any:
        options = Search.of(decoding)._replace(min_output_length=length, max_output_length=length)
        parameters = {name: tf.constant(getattr(options, name), kind) for name, kind in types.items()}
        return signature(text=texts, **parameters)["score"].numpy()

    return decode


def ctranslate2_decode(task: dict[str, Any]) -> Decode:
    """Returns a call of CTranslate2.

    Args:
        task: The task of `benchmarks.decode_ctranslate2`, and `lengths`.
    """
    from benchmarks.decode_ctranslate2 import load_engine, prepare

    engine, tokenize = load_engine(task | prepare(task))
    tokens = tokenize(task["texts"])

    def decode(length: int) -> Any:
        found = engine.translate_batch(
            tokens,
            beam_size=4,
            length_penalty=task["length_penalty"],
            min_decoding_length=length,
            max_decoding_length=length,
        )
        assert len(found[0].hypotheses[0]) == length
        return found

    return decode


if __name__ == "__main__":
    main()
