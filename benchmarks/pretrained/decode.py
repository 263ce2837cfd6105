"""Greedy decoding speed, compared with Hugging Face's `generate` and CTranslate2."""

import sys
from pathlib import Path
from typing import Any

from benchmarks.environments import ctranslate2_computes, run_module
from benchmarks.pretrained.checkpoint import PROMPTS, TOKENS, encoded
from benchmarks.results import show
from seqline.accelerators import multiplies_bfloat16
from seqline.tokenizers.checkpoint_files import read_folder
from seqline.tokenizers.host import HostTokenizer

ENGINES = {
    "seqline_f32": ("decode_seqline", "float32"),
    "seqline_bf16": ("decode_seqline", "bfloat16"),
    "seqline_int8": ("decode_seqline", "int8"),
    "hugging_face_f32": ("decode_hugging_face", "float32"),
    "hugging_face_bf16": ("decode_hugging_face", "bfloat16"),
    "ctranslate2_f32": ("decode_ctranslate2", "float32"),
    "ctranslate2_bf16": ("decode_ctranslate2", "bfloat16"),
    "ctranslate2_int8": ("decode_ctranslate2", "int8"),
}
"""The engines by precision; bfloat16 is measured where the processor multiplies it."""
COMPARED = {
    "hugging_face": (["seqline_f32", "seqline_bf16"], ["hugging_face_f32", "hugging_face_bf16"]),
    "ctranslate2_f32": (["seqline_f32"], ["ctranslate2_f32"]),
    "ctranslate2_bf16": (["seqline_bf16"], ["ctranslate2_bf16"]),
    "ctranslate2_int8": (["seqline_int8", "seqline_bf16"], ["ctranslate2_int8"]),
}
"""The precisions of both sides, the faster of which counts."""
SIZES = (1, 8)


def compare(checkpoint: Path, peer: Path, threads: int, quick: bool) -> dict[str, float | str]:
    """Continues the prompts with every engine.

    Args:
        checkpoint: The checkpoint's folder.
        peer: Python of the peers' environment.
        threads: Threads of every engine.
        quick: Whether to continue fewer prompts by fewer tokens.
    """
    prompts = encoded(checkpoint, PROMPTS)
    task: dict[str, Any] = {
        "folder": str(checkpoint),
        "prompts": prompts[:8] if quick else prompts,
        "tokens": 8 if quick else TOKENS,
        "sizes": SIZES,
        "passes": 1 if quick else 3,
        "threads": threads,
        "pieces": HostTokenizer(read_folder(str(checkpoint)).tokenizer).pieces(),
    }
    rates: dict[str, dict[str, float]] = {}
    outputs: dict[str, list[list[int]]] = {}
    for engine, (module, weights) in ENGINES.items():
        if weights == "bfloat16" and not (
            ctranslate2_computes(peer, weights) if module == "decode_ctranslate2" else multiplies_bfloat16()
        ):
            continue
        python = sys.executable if module == "decode_seqline" else peer
        found = run_module(python, f"benchmarks.pretrained.{module}", task | {"weights": weights})
        rates[engine], outputs[engine] = found["tokens_per_second"], found["outputs"]
    columns = [f"b{size}" for size in SIZES]
    show(
        "Greedy decoding, new tokens per second",
        ["engine", *(f"batch {size}" for size in SIZES), "outputs equal to Hugging Face's in float32"],
        [[engine, *(rates[engine][one] for one in columns), _equal(outputs, engine)] for engine in rates],
    )
    metrics: dict[str, float | str] = {
        f"{engine}_tokens_per_second_{one}": rates[engine][one] for engine in rates for one in columns
    }
    for other, sides in COMPARED.items():
        for one in columns:
            ours, theirs = ([rates[engine][one] for engine in side if engine in rates] for side in sides)
            if ours and theirs:
                metrics[f"decode_vs_{other}_{one}"] = max(ours) / max(theirs)
    return metrics


def _equal(outputs: dict[str, list[list[int]]], engine: str) -> str:
    pairs = list(zip(outputs[engine], outputs["hugging_face_f32"], strict=True))
    return f"{sum(one == other for one, other in pairs)} of {len(pairs)}"
