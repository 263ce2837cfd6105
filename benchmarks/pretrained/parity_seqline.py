"""Seqline in `benchmarks.pretrained.parity`: logits of the model, and greedy search as it is exported."""

import json
import os
import sys
from pathlib import Path
from typing import Any


def generate(task: dict[str, Any]) -> dict[str, Any]:
    """Continues the prompts, one at a time, up to the end of each.

    Args:
        task: See `benchmarks.pretrained.parity_hugging_face`.

    Returns:
        The new tokens, and the logits behind each prompt.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    from seqline.decoding.decoder import Decoder
    from seqline.decoding.search import search
    from seqline.decoding.search_options import Search
    from seqline.pretrained.checkpoint import read_pretrained
    from seqline.pretrained.loading import build_model

    longest = max(map(len, task["prompts"])) + task["tokens"]
    model = build_model(read_pretrained(Path(task["folder"])), max_length=longest)
    decoder, end = Decoder(model, longest=longest), model.config.eos_id
    options = Search(beam_size=1, max_output_length=task["tokens"], length_penalty=0.0)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def run(source: Any) -> Any:
        with decoder.unpacked():
            return search(decoder, source, options).ids[:, 0]

    outputs, logits = [], []
    for prompt in task["prompts"]:
        ids = np.array([prompt])
        logits.append(model((ids, np.ones_like(ids), np.arange(len(prompt))[None]))[0, -1].numpy().tolist())
        found = run(tf.constant([prompt], tf.int32))[0].numpy().tolist()
        outputs.append(found[: found.index(end) + 1] if end in found else found)
    return {"outputs": outputs, "logits": logits}


if __name__ == "__main__":
    print(json.dumps(generate(json.load(sys.stdin))))
