"""Runs an exported model in a fresh process: `python -m seqline.components.export.verify` reads and writes JSON.

Like a server, the process uses the folder, TensorFlow and tensorflow-text, and no model code.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from seqline.lean_tensorflow import import_lean, load_text_ops
from seqline.quick_imports import quick_imports
from seqline.saved_models import load_signatures


class FreshProcess:
    """A process that imports TensorFlow while the model is traced, and then runs it; `fresh_process` makes one."""

    def __init__(self, process: "subprocess.Popen[str]", errors: IO[str]) -> None:
        self._process, self._errors = process, errors
        self._input, self._output = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

    def start(self, model: Path, texts: list[str]) -> None:
        """Begins to run texts through an exported model.

        Args:
            model: The exported model's folder.
            texts: The inputs.
        """
        try:
            json.dump([str(model), texts], self._input)
            self._input.close()
        except BrokenPipeError:
            self.outputs()

    def outputs(self) -> list[str]:
        """Waits for the outputs.

        Raises:
            RuntimeError: If the model does not load or run there; with the end of the process's stderr.
        """
        output = self._output.read()
        if self._process.wait():
            self._errors.seek(0)
            raise RuntimeError(f"the exported model does not run in a fresh process:\n{self._errors.read()[-2000:]}")
        return list(json.loads(output.splitlines()[-1]))


@contextmanager
def fresh_process() -> Iterator[FreshProcess]:
    """Starts a process, and ends it with the block."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "seqline.components.export.verify"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        ) as process,
    ):
        try:
            yield FreshProcess(process, errors)
        finally:
            process.kill()


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
    with quick_imports():
        import_lean()
        import tensorflow as tf

        _ = tf.constant
        load_text_ops()
    model, texts = json.load(sys.stdin)
    signature = load_signatures(Path(model), portable=True)["serving_default"]
    outputs = signature(text=tf.constant(texts, tf.string))["text"].numpy()
    print(json.dumps([output.decode() for output in outputs]))


if __name__ == "__main__":
    _main()
