"""Calls a SavedModel in a fresh process, as a server does: `python -m seqline.components.adopt.loading FOLDER`."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

TEXTS = (["one text", "another text", ""], ["a single text"])
"""Batches of two sizes, and a text without words."""


def problems_of(model: Path) -> list[str]:
    """Loads and calls a model in a fresh process, with TensorFlow and tensorflow-text and no other code.

    Args:
        model: A SavedModel's folder, whose signature has Seqline's names.

    Returns:
        What is wrong, a sentence each.
    """
    command = [sys.executable, "-m", "seqline.components.adopt.loading", str(model)]
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return [f"it does not load in a fresh process: {reason[0]}"]
    return list(json.loads(lines[-1]))


def called(model: str) -> list[str]:
    """Loads and calls a model.

    Args:
        model: The folder.

    Returns:
        What is wrong, a sentence each.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers ops of tokenizers)

    try:
        loaded = tf.saved_model.load(model)
        signature = loaded.signatures["serving_default"]
    except Exception as error:  # a graph's errors are of many types
        return [f"it does not load in a fresh process: {_first_line(error)}"]
    found = []
    for texts in TEXTS:
        try:
            answer = signature(text=tf.constant(texts))
            shapes = {name: answer[name].shape.as_list() for name in ("text", "score")}
            scores = answer["score"].numpy().tolist()
            answer["text"].numpy()
        except Exception as error:
            found.append(f"it fails on {texts}: {_first_line(error)}")
            continue
        if any(shape != [len(texts)] for shape in shapes.values()):
            found.append(f"for {len(texts)} texts it returns text and score of shapes {list(shapes.values())}")
        elif not all(map(math.isfinite, scores)):
            found.append(f"its scores for {texts} are {scores}, not all numbers")
    return found


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:500]


if __name__ == "__main__":
    print(json.dumps(called(sys.argv[1])))
