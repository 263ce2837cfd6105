"""How the cost of decoding grows with the output's length, in `benchmarks.decode`; run by each engine's own Python."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Decode = Callable[[int], Any]
"""Decodes some texts to exactly so many pieces each."""


def main() -> None:
    """Times outputs of every length that the task asks for; the best of three runs counts."""
    task = json.load(sys.stdin)
    decode = ctranslate2_of(task) if "quantization" in task else seqline_of(task)
    seconds = []
    for length in task["lengths"]:
        runs = []
        for _ in range(4):
            start = time.perf_counter()
            decode(length)
            runs.append(time.perf_counter() - start)
        seconds.append(min(runs[1:]))
    print(json.dumps({"seconds": seconds}))


def seqline_of(task: dict[str, Any]) -> Decode:
    """Seqline's `parameters` signature.

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
        how = Search.of(decoding)._replace(min_output_length=length, max_output_length=length)
        parameters = {name: tf.constant(getattr(how, name), kind) for name, kind in types.items()}
        return signature(text=texts, **parameters)["score"].numpy()

    return decode


def ctranslate2_of(task: dict[str, Any]) -> Decode:
    """CTranslate2.

    Args:
        task: What `benchmarks.decode_ctranslate2` takes, and `lengths`.
    """
    from benchmarks.decode_ctranslate2 import load_engine, prepare

    engine, split = load_engine(task | prepare(task))
    pieces = split(task["texts"])

    def decode(length: int) -> Any:
        found = engine.translate_batch(
            pieces,
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
