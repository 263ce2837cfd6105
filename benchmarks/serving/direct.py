"""The SavedModel called directly, batch after batch: the upper bound of a server. Prints one JSON object."""

import argparse
import json
import random
import sys
import time
from pathlib import Path

from benchmarks.serving.load import read_texts


def main() -> int:
    """Decodes shuffled texts for the given time."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.direct", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers ops)

    loaded = tf.saved_model.load(str(args.model))
    decode = loaded.signatures["serving_default"]
    texts, chooser = read_texts(args.texts), random.Random(1)
    words, done = 0, 0
    for _ in range(2):  # warm-up
        decode(text=tf.constant(chooser.choices(texts, k=args.batch)))
    started = time.perf_counter()
    while time.perf_counter() < started + args.seconds:
        found = decode(text=tf.constant(chooser.choices(texts, k=args.batch)))["text"].numpy()
        done += args.batch
        words += sum(len(text.split()) for text in found)
    print(json.dumps({"per_second": done / (time.perf_counter() - started), "words": words / done}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
