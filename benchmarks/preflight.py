"""Compiles full presets for TPU slices with the real compiler: how long it takes, and what it says.

`base_seconds` is the time of the whole question, lowering and compiling, about preset base and one bucket.
`fairseq_*` holds the estimate against a measurement: fairseq's Transformer big on a v3-8, 30 tokens a side, 5,000
tokens a core and batch, 72,000 target tokens a second (its issue 2506, comment of 2020-08-31).
"""

import sys
import time
from typing import Any

from benchmarks.results import finish, parser, show
from seqline.components.train.options import Options
from seqline.components.train.preflight.compiled_plan import compile_plan
from seqline.components.train.preflight.plan import Plan, config_of
from seqline.components.train.preflight.report import Bucket, Report
from seqline.components.train.preflight.slices import GIB, read_slice
from seqline.errors import UserError
from seqline.modeling.architectures import ARCHITECTURES
from seqline.modeling.config import PRESETS

VOCABULARY = 32_000
FAIRSEQ_TOKENS_PER_SECOND = 72_000.0


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    arguments = parser("preflight", (__doc__ or "").partition("\n")[0])
    arguments.add_argument("--tpu", default="v5e:1x1", help="the slice of the presets' table")
    arguments.add_argument("--only", choices=["base", "fairseq", "presets"], help="one part")
    given = arguments.parse_args()
    figures: dict[str, float | str] = {}
    try:
        if given.only in (None, "base"):
            figures |= base("demo" if given.quick else "base", given.tpu)
        if given.only in (None, "fairseq"):
            figures |= fairseq("base" if given.quick else "big")
        if given.only in (None, "presets"):
            figures |= presets(["demo"] if given.quick else list(PRESETS), given.tpu)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finish(figures, given.json)
    return 0


def asked(preset: str, architecture: str, tpu: str, rows: int, length: int, dropout: float = 0.1) -> Report:
    """Asks about one bucket of a full preset.

    Args:
        preset: Its name.
        architecture: transformer or gpt.
        tpu: The slice.
        rows: Pairs in a batch, over all replicas.
        length: Pieces of a side.
        dropout: Share of activations dropped.
    """
    given: dict[str, Any] = {
        "preset": preset,
        "architecture": architecture,
        "batch_tokens": rows * length,
        "dropout": dropout,
    }
    options = Options(**given)
    plan = Plan(config_of(options, VOCABULARY, length), [Bucket(rows, length, length)])
    return compile_plan(read_slice(tpu), plan, options, compiled_buckets=1, search=False)


def base(preset: str, tpu: str) -> dict[str, float | str]:
    """Times one question.

    Args:
        preset: The model's size.
        tpu: The slice.
    """
    start = time.monotonic()
    (bucket,) = asked(preset, "transformer", tpu, 128, 32).buckets
    seconds = time.monotonic() - start
    return {
        "base_seconds": seconds,
        "base_compiles": str(not bucket.error),
        "base_hbm_gib": bucket.hbm_bytes / GIB,
        "base_step_ms": 1000 * bucket.step_seconds,
    }


def fairseq(preset: str) -> dict[str, float | str]:
    """Holds the estimate of a training against its measurement.

    Args:
        preset: Of the model that was measured, big.
    """
    rows, length = 8 * 160, 31
    (bucket,) = asked(preset, "transformer", "v3:2x2", rows, length, dropout=0.3).buckets
    return {
        "fairseq_measured_tokens_per_second": FAIRSEQ_TOKENS_PER_SECOND,
        "fairseq_estimated_tokens_per_second": bucket.tokens_per_second,
        "fairseq_estimate_ratio": bucket.tokens_per_second / FAIRSEQ_TOKENS_PER_SECOND,
        "fairseq_bound": bucket.bound or bucket.error,
    }


def presets(names: list[str], tpu: str) -> dict[str, float | str]:
    """Compiles presets of every architecture, with all their layers.

    Args:
        names: The presets.
        tpu: The slice.
    """
    rows: list[list[object]] = []
    figures: dict[str, float | str] = {}
    for name in names:
        for architecture in ARCHITECTURES:
            start = time.monotonic()
            (bucket,) = asked(name, architecture, tpu, 64, 64).buckets
            rows.append([name, architecture, bucket.error or "yes", bucket.hbm_bytes / GIB, bucket.flops / 1e9])
            rows[-1] += [bucket.bound, 1000 * bucket.step_seconds, time.monotonic() - start]
            figures[f"{name}_{architecture}_compiles"] = str(not bucket.error)
            figures[f"{name}_{architecture}_step_ms"] = 1000 * bucket.step_seconds
    show(f"64x64 on {tpu}", ["preset", "architecture", "compiles", "GiB", "GFLOP", "bound", "ms", "seconds"], rows)
    return figures


if __name__ == "__main__":
    sys.exit(main())
