"""The preflight stage: would this training run on that TPU, and what would it cost."""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from seqline.artifacts.corpus import Corpus
from seqline.atomic import atomic_directory
from seqline.components.train.options import Options
from seqline.components.train.preflight.compiling import Compiled, compile_for
from seqline.components.train.preflight.estimate import estimate
from seqline.components.train.preflight.lowering import LoweringError, TrainingStep
from seqline.components.train.preflight.report import Bucket, Largest, Report, Training
from seqline.components.train.preflight.search import largest_that_fits, spread
from seqline.components.train.preflight.slices import GIB, Slice, read_slice
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig

log = logging.getLogger(__name__)
LENGTHS = (32,)
"""Lengths of the buckets beside the longest, where no corpus says them."""


SENTENCES, BEAM = 8, 4
"""Of the decoding step."""


@dataclass(frozen=True)
class Plan:
    """What would be trained.

    Attributes:
        config: The model's shape.
        buckets: Shapes of the batches, with their steps; over all replicas.
    """

    config: TransformerConfig
    buckets: list[Bucket]


def preflight(
    corpus: Path,
    output: Path,
    tpu: str = "v5e:2x2",
    compiled_buckets: int = 2,
    search: bool = True,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Report:
    """Asks the TPU compiler about the training of a corpus, and stops where it would fail.

    The layout of the output is in `seqline.components.train.preflight.report`.

    Args:
        corpus: The corpus folder that tokenize wrote.
        output: The folder to write the report to.
        tpu: The slice, such as v5e:2x2.
        compiled_buckets: How many shapes of batch are compiled; those between are interpolated.
        search: Whether to look for the largest batch that fits, also where the wanted one does.
        options: Options of training.

    Returns:
        The report.

    Raises:
        UserError: If training would not compile or not fit, with the batch that would.
    """
    slice_ = read_slice(tpu)
    found = ask(slice_, plan_of(Corpus(corpus), options, slice_.replicas), options, compiled_buckets, search)
    for line in found.lines():
        log.info("%s", line)
    if found.faults:
        raise UserError(found.faults[0])
    with atomic_directory(output) as folder:
        found.write(folder)
    return found


def plan_of(corpus: Corpus, options: Options, replicas: int) -> Plan:
    """Makes the batches that training would make, to know their shapes and how many there are.

    Args:
        corpus: The corpus.
        options: Options of training.
        replicas: Cores that share a batch.

    Raises:
        UserError: If there is nothing to train on, or an option does not work with so many cores.
    """
    options.check_replicas(replicas)
    from seqline.components.train.batches import Batches
    from seqline.components.train.packing import Packs
    from seqline.components.train.records import longest, read_pairs

    manifest = corpus.read_manifest()
    pairs = read_pairs(corpus.shards("train"))
    if not pairs:
        raise UserError(f"the corpus {corpus.path} has no train pairs; give tokenize more data")
    length = longest(options.architecture, [*pairs, *read_pairs(corpus.shards("valid"))])
    config = config_of(options, manifest.vocabulary_size, length)
    if options.architecture == "gpt":
        packs = Packs(pairs, config, options.batch_tokens, replicas=replicas)
        return Plan(config, [Bucket(packs.rows, packs.length, packs.length, len(packs) * options.epochs)])
    batches = Batches(pairs, config, options.batch_tokens, replicas=replicas)
    shapes = zip(batches.buckets, batches.counts, strict=True)
    return Plan(config, [Bucket(one.rows, one.source, one.target, count * options.epochs) for one, count in shapes])


def plan_without_corpus(
    options: Options, vocabulary_size: int, max_tokens: int, replicas: int, lengths: tuple[int, ...] = ()
) -> Plan:
    """Takes the longest batch that there can be, and usual ones.

    Args:
        options: Options of training.
        vocabulary_size: Pieces of the vocabulary.
        max_tokens: Longest source or target.
        replicas: Cores that share a batch.
        lengths: Of the batches; empty for the usual ones.

    Raises:
        UserError: If an option does not work with so many cores.
    """
    options.check_replicas(replicas)
    length = max(2 * (max_tokens + 1), 256) if options.architecture == "gpt" else max(max_tokens + 1, 128)
    config = config_of(options, vocabulary_size, length)
    chosen = lengths or (*(length for length in LENGTHS if length <= max_tokens), max_tokens + 1)
    if options.architecture == "gpt":
        chosen = lengths or (config.max_length,)
    rows = [max(replicas, options.batch_tokens // length // replicas * replicas) for length in chosen]
    return Plan(config, [Bucket(count, length, length) for count, length in zip(rows, chosen, strict=True)])


def config_of(options: Options, vocabulary_size: int, length: int) -> TransformerConfig:
    """The model that training would make.

    Args:
        options: Options of training.
        vocabulary_size: Pieces of the vocabulary.
        length: Longest sequence in tokens, end of sentence included.
    """
    if options.preset == "auto":
        raise UserError("preset auto is chosen when training starts; name the preset to ask about")
    return TransformerConfig.preset(options.preset, vocabulary_size=vocabulary_size, max_length=length, **options.shape)


def ask(
    slice_: Slice, plan: Plan, options: Options, compiled_buckets: int = 2, search: bool = True, decode: bool = False
) -> Report:
    """Asks the compiler.

    Args:
        slice_: The slice.
        plan: What would be trained.
        options: Options of training.
        compiled_buckets: How many buckets are compiled, the longest first.
        search: Whether to look for the largest batch that fits, also where the wanted one does.
        decode: Whether to ask about a step of decoding on one core, too.
    """
    started = time.monotonic()

    def told(what: str, *values: object) -> None:
        log.info(f"%4.0f s  {what}", time.monotonic() - started, *values)

    told("making the %s %s", options.preset, options.architecture)
    step = TrainingStep(plan.config, options, slice_.replicas)
    buckets = list(plan.buckets)
    chosen = list(
        spread([bucket.lengths for bucket in buckets], [bucket.steps for bucket in buckets], compiled_buckets)
    )
    with ThreadPoolExecutor(2) as pool:

        def submit(rows: int, source: int, target: int) -> Future[Compiled]:
            shape = Bucket(max(1, rows // slice_.replicas), source, target)
            told("lowering the step for %s on a core", shape)
            try:
                lowered = step.lower(shape)
            except LoweringError as error:
                failed: Future[Compiled] = Future()
                failed.set_result(Compiled(error=str(error)))
                return failed

            def run() -> Compiled:
                told("compiling it for %s", slice_.name)
                compiled = compile_for(slice_, lowered.hlo, lowered.lines)
                told("compiled %s: %s", shape, compiled.error or f"{compiled.hbm_bytes / GIB:.2f} GiB")
                return compiled

            return pool.submit(run)

        asked = {n: submit(buckets[n].rows, buckets[n].source, buckets[n].target) for n in chosen}
        answers = {n: future.result() for n, future in asked.items()}
        for n, compiled in answers.items():
            buckets[n] = _bucket(buckets[n], compiled, slice_)
        longest = answers[chosen[0]]
        largest = None
        if longest.hbm_bytes and (search or longest.error):
            largest = _largest(buckets[chosen[0]], longest, slice_, lambda *shape: submit(*shape).result())
        decoding = _decoding(plan.config, slice_) if decode else None
    buckets = _interpolated(buckets, set(chosen))
    report = Report(
        slice_.name,
        slice_.replicas,
        slice_.hbm_gib * GIB,
        f"{options.architecture} {options.preset}, {'float32' if options.precision == 'float32' else 'bfloat16'}",
        slice_.date,
        options.batch_tokens,
        buckets,
        largest,
        decode=decoding,
    )
    steps = sum(bucket.steps for bucket in buckets)
    if steps and not report.faults:
        hours = sum(bucket.steps * bucket.step_seconds for bucket in buckets) / 3600
        report = replace(report, training=Training(steps, hours, hours * slice_.price_per_hour, slice_.currency))
    return report


def _bucket(bucket: Bucket, compiled: Compiled, slice_: Slice) -> Bucket:
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
    """A step of decoding `SENTENCES` sentences of 64 pieces, on one core: serving shares nothing between cores."""
    from seqline.components.train.preflight.decoding import lower_decoding

    length = min(64, config.max_length)
    alone = replace(slice_, topology="1x1x1" if slice_.version == "v4" else "1x1")
    bucket = Bucket(SENTENCES, length, length)
    try:
        lowered = lower_decoding(config, SENTENCES, BEAM, length, length)
    except LoweringError as error:
        return replace(bucket, error=str(error))
    compiled = compile_for(alone, lowered.hlo, lowered.lines, replicas=1)
    made = _bucket(bucket, compiled, alone)
    # A step makes one piece of each sentence.
    return replace(made, tokens_per_second=0.0 if made.error else SENTENCES / made.step_seconds)


def _largest(bucket: Bucket, compiled: Compiled, slice_: Slice, ask_about: object) -> Largest:
    replicas = slice_.replicas
    known = {max(1, bucket.rows // replicas): compiled.hbm_bytes}

    def measure(rows: int) -> float:
        answer = ask_about(rows * replicas, bucket.source, bucket.target)  # type: ignore[operator]
        # What the compiler cannot place at all uses more than there is.
        return float(answer.hbm_bytes or 2 * slice_.hbm_gib * GIB)

    fits, refused = largest_that_fits(measure, known, compiled.fixed_bytes, slice_.hbm_gib * GIB)
    length = max(bucket.source, bucket.target)
    return Largest(fits * replicas * length, known.get(fits, 0.0), refused * replicas * length)


def _interpolated(buckets: list[Bucket], compiled: set[int]) -> list[Bucket]:
    """Gives the buckets that were not compiled a time between those of their neighbours, by the positions."""
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
