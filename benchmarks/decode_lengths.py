"""How Seqline's cost grows with the output's length, in `benchmarks.decode`."""

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Times outputs of exactly so many pieces; the best of three runs counts."""
    task = json.load(sys.stdin)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    from components.export.exported import Decoding
    from components.export.program import SAMPLING, SEARCHING, Program
    from components.export.search_options import Search
    from components.train.checkpoint import Checkpoint
    from components.train.model import TransformerConfig, make_model

    checkpoint = Checkpoint(Path(task["checkpoint"]))
    model = make_model(TransformerConfig.from_dict(checkpoint.read_config()["model"]))
    model.load_weights(checkpoint.weights)
    decoding = Decoding(4, task["length_penalty"], max_output_length=max(task["lengths"]))
    signature = Program(model, checkpoint.tokenizer, decoding).signatures()["parameters"]
    texts = tf.constant(task["texts"][:16])
    seconds = []
    for length in task["lengths"]:
        how = Search.of(decoding)._replace(min_output_length=length, max_output_length=length)
        types = {**SEARCHING, **SAMPLING}
        parameters = {name: tf.constant(getattr(how, name), kind) for name, kind in types.items()}
        runs = []
        for _ in range(4):
            start = time.perf_counter()
            signature(text=texts, **parameters)["score"].numpy()
            runs.append(time.perf_counter() - start)
        seconds.append(min(runs[1:]))
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
