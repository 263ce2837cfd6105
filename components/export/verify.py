"""Runs an exported model in a fresh process: `python -m seqline.components.export.verify MODEL` reads and writes JSON.

Like a server, the process uses the folder, TensorFlow and tensorflow-text, and no model code.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def predict_in_fresh_process(model: Path, texts: list[str]) -> list[str]:
    """Runs texts through an exported model in a new process.

    Args:
        model: The exported model's folder.
        texts: The inputs.

    Returns:
        The outputs.

    Raises:
        RuntimeError: If the model does not load or run there; with the end of the process's stderr.
    """
    done = subprocess.run(
        [sys.executable, "-m", "seqline.components.export.verify", str(model)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the exported model does not run in a fresh process:\n{done.stderr[-2000:]}")
    return list(json.loads(done.stdout.splitlines()[-1]))


def foreign_ops(model: Path) -> list[str]:
    """Returns the ops of a SavedModel that neither TensorFlow nor tensorflow-text provides.

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
    outputs = signature(text=tf.constant(texts, tf.string))["text"].numpy()
    print(json.dumps([output.decode() for output in outputs]))


if __name__ == "__main__":
    _main()
