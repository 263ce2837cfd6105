"""The SavedModel called directly, batch after batch: what a server can reach at most. Prints one JSON object."""

import argparse
import json
import random
import sys
import time
from pathlib import Path

from benchmarks.serving.load import read_texts


def main() -> int:
    """Answers shuffled texts for some seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.direct", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers ops)

    loaded = tf.saved_model.load(str(given.model))
    answer = loaded.signatures["serving_default"]
    texts, chooser = read_texts(given.texts), random.Random(1)
    words, done = 0, 0
    for _ in range(2):
        answer(text=tf.constant(chooser.choices(texts, k=given.batch)))
    started = time.perf_counter()
    while time.perf_counter() < started + given.seconds:
        found = answer(text=tf.constant(chooser.choices(texts, k=given.batch)))["text"].numpy()
        done += given.batch
        words += sum(len(text.split()) for text in found)
    print(json.dumps({"per_second": done / (time.perf_counter() - started), "words": words / done}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
