"""Fine-tuning speed with LoRA, compared with Hugging Face's Trainer and PEFT."""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.environments import run_module
from benchmarks.pretrained.corpora import prepare
from benchmarks.results import show
from seqline.artifacts.corpus import Corpus
from seqline.components.train.devices import native_bfloat16
from seqline.components.train.records import read_data
from seqline.pretrained.checkpoint import read_config

BATCH_TOKENS, PAIRS = 2048, 160
RANK, ALPHA = 16, 32.0
BFLOAT16 = ("autocast", "bfloat16")
"""Of the peer beside float32: float32 weights with products in bfloat16; weights in bfloat16 too."""


def compare(
    pairs: Path, checkpoint: Path, folder: Path, peer: Path, threads: int, quick: bool
) -> dict[str, float | str]:
    """Trains the same adapters on the same tokens with both.

    Seqline packs the pairs. The Trainer groups them by length, in batches of as many tokens on average; the best of its
    precisions counts. A processor that does not multiply bfloat16 emulates it, many times slower: only float32 is
    measured there. Tokens are those of prompts and targets, without padding; the first batches, which compile or
    allocate, do not count.

    Args:
        pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        checkpoint: The checkpoint's folder.
        folder: Working folder.
        peer: Python of the peers' environment.
        threads: Threads of either side.
        quick: Whether to train on fewer pairs.
    """
    corpus = prepare(
        pairs,
        checkpoint,
        folder / "train",
        "question_answering",
        {"train": 24 if quick else PAIRS, "valid": 4, "test": 4},
    )
    end = read_config(checkpoint)[1].eos_id
    rows = [(source.tolist(), [*target.tolist(), end]) for source, target in read_data(Corpus(corpus)).train.listed()]
    (folder / "train" / "rows.json").write_text(json.dumps(rows))
    tokens = sum(len(source) + len(target) for source, target in rows)
    batch_tokens = 512 if quick else BATCH_TOKENS
    task: dict[str, Any] = {
        "folder": str(checkpoint),
        "corpus": str(corpus),
        "rows": str(folder / "train" / "rows.json"),
        "tokens": tokens,
        "batch_tokens": batch_tokens,
        "batch_rows": max(1, round(batch_tokens * len(rows) / tokens)),
        "rank": RANK,
        "alpha": ALPHA,
        "threads": threads,
        "seconds": 5 if quick else 90,
    }
    ours = run_module(sys.executable, "benchmarks.pretrained.train_seqline", task)["tokens_per_second"]
    rates = {
        variant: run_module(peer, "benchmarks.pretrained.train_peft", task | {"variant": variant})["tokens_per_second"]
        for variant in ("float32", *(BFLOAT16 if native_bfloat16() else ()))
    }
    table = [["seqline", ours], *([f"Trainer with PEFT, {variant}", rate] for variant, rate in rates.items())]
    show("Fine-tuning, tokens per second", ["trainer", "tokens/s"], table)
    return {
        "train_tokens_per_second": ours,
        **{f"train_peft_{variant}_tokens_per_second": rate for variant, rate in rates.items()},
        "train_vs_peft": ours / max(rates.values()),
    }
