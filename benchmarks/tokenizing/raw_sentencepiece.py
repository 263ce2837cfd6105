"""The upper bound: SentencePiece's own batch encoding on all cores, with the texts already in memory.

`python -m benchmarks.tokenizing.raw_sentencepiece FOLDER MODEL` prints {"seconds": ...}, with threads or with
processes, whichever is faster.
"""

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import sentencepiece

_MODEL = sys.argv[2]
_CHUNK = 20_000


def main() -> None:
    """Encodes both sides of all pairs, with threads and with processes."""
    texts = []
    for path in sorted(Path(sys.argv[1]).glob("part-*.tsv")):
        texts += [side for line in path.read_text("utf-8").split("\n") if line for side in line.split("\t")]
    cores = len(os.sched_getaffinity(0))
    processor = sentencepiece.SentencePieceProcessor(model_file=_MODEL)
    chunks = [texts[first : first + _CHUNK] for first in range(0, len(texts), _CHUNK)]
    start = time.monotonic()
    for chunk in chunks:
        processor.encode(chunk, num_threads=cores)
    threads = time.monotonic() - start
    # Forked processes share the texts, and return only a count.
    global _CHUNKS
    _CHUNKS = chunks
    with multiprocessing.get_context("fork").Pool(cores, _load) as pool:
        pool.map(_ready, range(cores))
        start = time.monotonic()
        pool.map(_encode, range(len(chunks)), chunksize=1)
        processes = time.monotonic() - start
    print(json.dumps({"seconds": min(threads, processes), "threads": threads, "processes": processes}))


_CHUNKS: list[list[str]] = []
_PROCESSOR = sentencepiece.SentencePieceProcessor()


def _load() -> None:
    global _PROCESSOR
    _PROCESSOR = sentencepiece.SentencePieceProcessor(model_file=_MODEL)


def _ready(_: int) -> None:
    time.sleep(0.1)


def _encode(number: int) -> int:
    return len(_PROCESSOR.encode(_CHUNKS[number], num_threads=1))


if __name__ == "__main__":
    main()
