"""Greedy text with imported weights, compared with Hugging Face's."""

import sys
from pathlib import Path
from typing import Any

from benchmarks.environments import run_module
from benchmarks.pretrained.checkpoint import PROMPTS, TOKENS, encoded
from benchmarks.results import show
from seqline.tokenizers.checkpoint_files import read_folder
from seqline.tokenizers.host import HostTokenizer


def compare(checkpoint: Path, peer: Path, threads: int, quick: bool) -> dict[str, float | str]:
    """Continues the prompts one at a time, with Seqline's exported model and with `generate`.

    Args:
        checkpoint: The checkpoint's folder.
        peer: Python of the peers' environment.
        threads: Threads of either side.
        quick: Whether to continue the first prompts only.
    """
    texts = PROMPTS[:4] if quick else PROMPTS
    prompts = encoded(checkpoint, texts)
    task: dict[str, Any] = {
        "folder": str(checkpoint), "prompts": prompts, "texts": texts, "tokens": TOKENS, "threads": threads,
    }  # fmt: skip
    theirs = run_module(peer, "benchmarks.pretrained.parity_hugging_face", task)
    ours = run_module(sys.executable, "benchmarks.pretrained.parity_seqline", task)
    if theirs["prompts"] != prompts:
        raise RuntimeError("the tokenizers give other ids for the prompts")
    decode = HostTokenizer(read_folder(str(checkpoint)).tokenizer).decode
    rows, equal = [], 0
    for prompt, expected, found in zip(texts, theirs["outputs"], ours["outputs"], strict=True):
        equal += expected == found
        pairs = zip(expected, found, strict=False)
        first = next((place for place, (one, other) in enumerate(pairs, 1) if one != other), len(found))
        rows.append([prompt[:40], decode([found])[0][:50], "equal" if expected == found else f"from token {first} on"])
    show(f"Greedy text, {TOKENS} tokens", ["prompt", "Seqline", "differs from Hugging Face"], rows)
    differences = (
        abs(one - other)
        for ours_, theirs_ in zip(ours["logits"], theirs["logits"], strict=True)
        for one, other in zip(ours_, theirs_, strict=True)
    )
    return {
        "parity_prompts": float(len(texts)),
        "parity_equal_texts": float(equal),
        "parity_logits_difference": max(differences),
    }
