"""Checks an exported model in a fresh process.

`python -m seqline.components.export.verify MODEL` reads and writes JSON.

It sees what a server sees: the folder, TensorFlow and tensorflow-text, and no model code.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def translate_elsewhere(model: Path, texts: list[str]) -> list[str]:
    """Translates texts with an exported model, in a process of its own.

    Args:
        model: The exported model's folder.
        texts: The inputs.

    Returns:
        The outputs.

    Raises:
        RuntimeError: If the model does not load or run there; with what that process said last.
    """
    done = subprocess.run(
        [sys.executable, "-m", "seqline.components.export.verify", str(model)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the exported model does not run in a fresh process:\n{done.stderr[-2000:]}")
    return list(json.loads(done.stdout.splitlines()[-1]))


def foreign_ops(model: Path) -> list[str]:
    """Names the ops of a SavedModel that neither TensorFlow nor tensorflow-text has.

    Args:
        model: The exported model's folder.
    """
    import tensorflow_text  # noqa: F401 (registers its ops)
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.framework import op_def_registry

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((model / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    own = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return sorted({node.op for node in nodes if node.op not in own and op_def_registry.get(node.op) is None})


def _main() -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers its ops)

    signature: Any = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
    texts = json.load(sys.stdin)
    answers = signature(text=tf.constant(texts, tf.string))["text"].numpy()
    print(json.dumps([answer.decode() for answer in answers]))


if __name__ == "__main__":
    _main()
