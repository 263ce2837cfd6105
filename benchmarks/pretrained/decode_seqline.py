"""Seqline in `benchmarks.pretrained`: greedy search of an exported SavedModel."""

import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.pretrained.timing import Generate, run


def load(task: dict[str, Any]) -> Generate:
    """Exports the checkpoint as a signature from prompts to tokens, and loads it.

    The export's own signatures have no smallest number of new tokens, which all engines have here.

    Args:
        task: The task, with `weights`: float32, bfloat16 or int8.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    from seqline.components.export.executor import in_one_thread
    from seqline.components.export.loops import prepare_loops
    from seqline.decoding.decoder import Decoder
    from seqline.decoding.search import search
    from seqline.decoding.search_options import Search
    from seqline.modeling.language_model import padded
    from seqline.pretrained.checkpoint import read_pretrained
    from seqline.pretrained.loading import build_model

    longest = max(map(len, task["prompts"])) + task["tokens"]
    model = build_model(read_pretrained(Path(task["folder"])), max_length=longest)
    padding = model.config.padding
    program = tf.Module()
    program.decoder = decoder = Decoder(model, task["weights"], longest)
    options = Search(
        beam_size=1, length_penalty=0.0, min_output_length=task["tokens"], max_output_length=task["tokens"]
    )

    def generate(ids: Any) -> dict[str, Any]:
        with decoder.unpacked():
            return {"ids": search(decoder, ids, options).ids[:, 0]}

    traced = in_one_thread(generate).get_concrete_function(ids=tf.TensorSpec((None, None), tf.int32, "ids"))
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(program, folder, signatures={"generate": traced})
        prepare_loops(Path(folder))
        loaded = tf.saved_model.load(folder)
    signature = loaded.signatures["generate"]
    signature.loaded = loaded  # else its variables would be freed
    return lambda prompts: signature(ids=tf.constant(padded(prompts, padding)))["ids"].numpy().tolist()


if __name__ == "__main__":
    run(load)
