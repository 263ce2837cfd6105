"""Compiling a plan's batches: memory, time and the largest batch that fits."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from seqline.components.train.preflight.compiling import Compiled, compile_for
from seqline.components.train.preflight.estimate import estimate
from seqline.components.train.preflight.lowering import LoweringError, TrainingStep
from seqline.components.train.preflight.plan import Plan
from seqline.components.train.preflight.report import Bucket, Largest, Report, Training
from seqline.components.train.preflight.search import largest_that_fits, spread
from seqline.components.train.preflight.slices import GIB, Slice
from seqline.modeling.config import TransformerConfig
from seqline.schema.auto import number

log = logging.getLogger(__name__)

SENTENCES, BEAM = 8, 4
"""Size of the decoding step."""


def compile_plan(
    slice_: Slice, plan: Plan, compiled_buckets: int = 2, search: bool = True, decode: bool = False
) -> Report:
    """Compiles the batches of a plan for a slice.

    Args:
        slice_: The slice.
        plan: The model and its batches.
        compiled_buckets: Number of buckets to compile, the longest first.
        search: Whether to search for the largest batch that fits, even if the requested one does.
        decode: Whether to compile a step of decoding on one core too.
    """
    started, options = time.monotonic(), plan.options

    def report_progress(message: str, *values: object) -> None:
        log.info(f"%4.0f s  {message}", time.monotonic() - started, *values)

    report_progress("building the %s %s", options.preset, options.architecture)
    step = TrainingStep(plan.config, options, slice_.replicas)
    buckets = list(plan.buckets)
    chosen = list(
        spread([bucket.lengths for bucket in buckets], [bucket.steps for bucket in buckets], compiled_buckets)
    )
    with ThreadPoolExecutor(2) as pool:

        def submit(rows: int, source: int, target: int) -> Future[Compiled]:
            shape = Bucket(max(1, rows // slice_.replicas), source, target)
            report_progress("lowering the step for %s on a core", shape)
            try:
                lowered = step.lower(shape)
            except LoweringError as error:
                failed: Future[Compiled] = Future()
                failed.set_result(Compiled(error=str(error)))
                return failed

            def run() -> Compiled:
                report_progress("compiling it for %s", slice_.name)
                compiled = compile_for(slice_, lowered.hlo, lowered.lines)
                report_progress("compiled %s: %s", shape, compiled.error or f"{compiled.hbm_bytes / GIB:.2f} GiB")
                return compiled

            return pool.submit(run)

        futures = {n: submit(buckets[n].rows, buckets[n].source, buckets[n].target) for n in chosen}
        results = {n: future.result() for n, future in futures.items()}
        for n, compiled in results.items():
            buckets[n] = _with_results(buckets[n], compiled, slice_)
        longest, largest = results[chosen[0]], None
        if longest.hbm_bytes and (search or longest.error):
            largest = _largest(buckets[chosen[0]], longest, slice_, lambda *shape: submit(*shape).result())
        decoding = _decoding(plan.config, slice_) if decode else None
    report = Report(
        slice_.name,
        slice_.replicas,
        slice_.hbm_gib * GIB,
        f"{options.architecture} {options.preset}, {'float32' if options.precision == 'float32' else 'bfloat16'}",
        slice_.date,
        number(options.batch_tokens),
        _interpolated(buckets, set(chosen)),
        largest,
        decode=decoding,
    )
    return replace(report, training=_training(report, slice_, options.minutes))


def _training(report: Report, slice_: Slice, minutes: float) -> Training | None:
    steps = sum(bucket.steps for bucket in report.buckets)
    if not steps or report.faults:
        return None
    hours = sum(bucket.steps * bucket.step_seconds for bucket in report.buckets) / 3600
    if minutes and hours > minutes / 60:
        steps, hours = max(1, round(steps * minutes / 60 / hours)), minutes / 60
    return Training(steps, hours, hours * slice_.price_per_hour, slice_.currency)


def _with_results(bucket: Bucket, compiled: Compiled, slice_: Slice) -> Bucket:
    bucket = replace(bucket, error=compiled.error, operation=compiled.operation, hbm_bytes=compiled.hbm_bytes)
    if compiled.error:
        return bucket
    estimated = estimate(compiled, slice_)
    return replace(
        bucket,
        flops=compiled.flops,
        moved_bytes=float(compiled.work.hbm_bytes),
        reduced_bytes=float(compiled.work.reduced_bytes),
        bound=estimated.bound,
        step_seconds=estimated.seconds,
        tokens_per_second=bucket.rows * bucket.target / estimated.seconds,
    )


def _decoding(config: TransformerConfig, slice_: Slice) -> Bucket:
    """A step of decoding `SENTENCES` sentences of 64 tokens, on one core: serving shares nothing between cores."""
    from seqline.components.train.preflight.decoding import lower_decoding

    length = min(64, config.max_length)
    core = replace(slice_, topology="1x1x1" if slice_.version == "v4" else "1x1")
    bucket = Bucket(SENTENCES, length, length)
    try:
        lowered = lower_decoding(config, SENTENCES, BEAM, length, length)
    except LoweringError as error:
        return replace(bucket, error=str(error))
    compiled = compile_for(core, lowered.hlo, lowered.lines, replicas=1)
    bucket = _with_results(bucket, compiled, core)
    # A step makes one token of each sentence.
    return replace(bucket, tokens_per_second=0.0 if bucket.error else SENTENCES / bucket.step_seconds)


def _largest(
    bucket: Bucket, compiled: Compiled, slice_: Slice, compile_shape: Callable[[int, int, int], Compiled]
) -> Largest:
    replicas = slice_.replicas
    known = {max(1, bucket.rows // replicas): compiled.hbm_bytes}

    def measure(rows: int) -> float:
        result = compile_shape(rows * replicas, bucket.source, bucket.target)
        # A program that the compiler cannot place at all has no memory: count it as too large.
        return float(result.hbm_bytes or 2 * slice_.hbm_gib * GIB)

    fits, refused = largest_that_fits(measure, known, compiled.fixed_bytes, slice_.hbm_gib * GIB)
    length = max(bucket.source, bucket.target)
    return Largest(fits * replicas * length, known.get(fits, 0.0), refused * replicas * length)


def _interpolated(buckets: list[Bucket], compiled: set[int]) -> list[Bucket]:
    """Gives buckets that were not compiled a time between those of their neighbors, by positions."""
    import numpy as np

    good = sorted((n for n in compiled if not buckets[n].error), key=lambda n: buckets[n].lengths)
    if not good:
        return [replace(bucket, compiled=n in compiled) for n, bucket in enumerate(buckets)]
    lengths = [buckets[n].lengths for n in good]
    each = [buckets[n].step_seconds / (buckets[n].rows * buckets[n].lengths) for n in good]
    filled = []
    for n, bucket in enumerate(buckets):
        if n not in compiled:
            seconds = float(np.interp(bucket.lengths, lengths, each)) * bucket.rows * bucket.lengths
            rate = bucket.rows * bucket.target / seconds
            bucket = replace(bucket, compiled=False, step_seconds=seconds, tokens_per_second=rate)
        filled.append(bucket)
    return filled
