"""A checkpoint's tokenizer in the exported graph, compared with the library `tokenizers` or sentencepiece.

Batches of 64 texts, in the graph and in the library, alternate; the best of several runs counts.
`graph_texts_per_second` and `library_texts_per_second` are for one process; the library uses one thread.
"""

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.results import finish, parser, show
from seqline.errors import UserError

BATCH, RUNS = 64, 5


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    flags = parser("graph_tokenizer", (__doc__ or "").partition("\n")[0])
    flags.add_argument("checkpoint", help="a pretrained checkpoint's folder")
    flags.add_argument("texts", type=Path, help="a file with one text a line")
    args = flags.parse_args()
    # The library would use a thread a core.
    os.environ.update(TOKENIZERS_PARALLELISM="false", TF_CPP_MIN_LOG_LEVEL="2")
    try:
        metrics = measure(args.checkpoint, args.texts, 4 if args.quick else 32)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    show("Texts per second", ["", "value"], list(metrics.items()))
    finish(metrics, args.json)
    return 0


def measure(checkpoint: str, texts: Path, batches: int) -> dict[str, float]:
    """Tokenizes batches both ways, and checks that the ids are equal.

    Args:
        checkpoint: The checkpoint's folder.
        texts: The texts.
        batches: Number of batches.
    """
    import tensorflow as tf

    from seqline.normalization import clean
    from seqline.tokenizers.checkpoint_files import read_folder
    from seqline.tokenizers.graph import GraphTokenizer
    from seqline.tokenizers.host import HostTokenizer

    tokenizer = read_folder(checkpoint).tokenizer
    lines = [clean(line) for line in texts.read_text(encoding="utf-8").splitlines()]
    chosen = random.Random(1).choices([line for line in lines if line], k=BATCH * batches)
    rows = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
    host, graph = HostTokenizer(tokenizer), GraphTokenizer(tokenizer)
    encode = tf.function(
        lambda text: graph.encode_sources(text, 1 << 20)[0], [tf.TensorSpec([None], tf.string)], autograph=False
    )
    tensors = [tf.constant([text.encode() for text in row]) for row in rows]
    for row, tensor in zip(rows, tensors, strict=True):
        if encode(tensor).to_list() != host.encode_sources(row):
            raise RuntimeError("the graph and the library give other ids")
    ways: dict[str, Callable[[], list[object]]] = {
        "graph": lambda: [encode(tensor) for tensor in tensors],
        "library": lambda: [host.encode_sources(row) for row in rows],
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(RUNS):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            best[way] = min(best[way], time.perf_counter() - start)
    return {f"{way}_texts_per_second": len(chosen) / seconds for way, seconds in best.items()}


if __name__ == "__main__":
    sys.exit(main())
