"""Compiles full presets for TPU slices with the real compiler, and reports its time and estimates.

`base_seconds` is the time to lower and compile one bucket of preset base. `fairseq_*` compares the estimate with a
measurement: fairseq's Transformer big on a v3-8, 30 tokens per side, 5,000 tokens per core and batch, 72,000 target
tokens per second (its issue 2506, comment of 2020-08-31).
"""

import sys
import time

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
    flags = parser("preflight", (__doc__ or "").partition("\n")[0])
    flags.add_argument("--tpu", default="v5e:1x1", help="slice that the presets are compiled for")
    flags.add_argument("--only", choices=["base", "fairseq", "presets"], help="run only this part")
    args = flags.parse_args()
    metrics: dict[str, float | str] = {}
    try:
        if args.only in (None, "base"):
            metrics |= base("demo" if args.quick else "base", args.tpu)
        if args.only in (None, "fairseq"):
            metrics |= fairseq("base" if args.quick else "big")
        if args.only in (None, "presets"):
            metrics |= presets(["demo"] if args.quick else list(PRESETS), args.tpu)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finish(metrics, args.json)
    return 0


def compile_bucket(preset: str, architecture: str, tpu: str, rows: int, length: int, dropout: float = 0.1) -> Report:
    """Compiles one bucket of a full preset.

    Args:
        preset: Its name.
        architecture: transformer or gpt.
        tpu: The slice.
        rows: Pairs in a batch, over all replicas.
        length: Tokens of a side.
        dropout: Share of activations dropped.
    """
    values = {"preset": preset, "architecture": architecture, "batch_tokens": rows * length, "dropout": dropout}
    options = Options(preset="tiny").with_values(**values)
    plan = Plan(options, config_of(options, VOCABULARY, length), [Bucket(rows, length, length)])
    return compile_plan(read_slice(tpu), plan, compiled_buckets=1, search=False)


def base(preset: str, tpu: str) -> dict[str, float | str]:
    """Measures the time to compile one bucket.

    Args:
        preset: The model's size.
        tpu: The slice.
    """
    start = time.monotonic()
    (bucket,) = compile_bucket(preset, "transformer", tpu, 128, 32).buckets
    seconds = time.monotonic() - start
    return {
        "base_seconds": seconds,
        "base_compiles": str(not bucket.error),
        "base_hbm_gib": bucket.hbm_bytes / GIB,
        "base_step_ms": 1000 * bucket.step_seconds,
    }


def fairseq(preset: str) -> dict[str, float | str]:
    """Compares the estimated training speed with the measured one.

    Args:
        preset: The preset; big is the measured one.
    """
    rows, length = 8 * 160, 31
    (bucket,) = compile_bucket(preset, "transformer", "v3:2x2", rows, length, dropout=0.3).buckets
    return {
        "fairseq_measured_tokens_per_second": FAIRSEQ_TOKENS_PER_SECOND,
        "fairseq_estimated_tokens_per_second": bucket.tokens_per_second,
        "fairseq_estimate_ratio": bucket.tokens_per_second / FAIRSEQ_TOKENS_PER_SECOND,
        "fairseq_bound": bucket.bound or bucket.error,
    }


def presets(names: list[str], tpu: str) -> dict[str, float | str]:
    """Compiles presets of every architecture, with all layers.

    Args:
        names: The presets.
        tpu: The slice.
    """
    rows: list[list[object]] = []
    metrics: dict[str, float | str] = {}
    for name in names:
        for architecture in ARCHITECTURES:
            start = time.monotonic()
            (bucket,) = compile_bucket(name, architecture, tpu, 64, 64).buckets
            rows.append([name, architecture, bucket.error or "yes", bucket.hbm_bytes / GIB, bucket.flops / 1e9])
            rows[-1] += [bucket.bound, 1000 * bucket.step_seconds, time.monotonic() - start]
            metrics[f"{name}_{architecture}_compiles"] = str(not bucket.error)
            metrics[f"{name}_{architecture}_step_ms"] = 1000 * bucket.step_seconds
    show(f"64x64 on {tpu}", ["preset", "architecture", "compiles", "GiB", "GFLOP", "bound", "ms", "seconds"], rows)
    return metrics


if __name__ == "__main__":
    sys.exit(main())
