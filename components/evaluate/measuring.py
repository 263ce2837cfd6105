"""Decodes the test set in chunks, and scores one chunk while the next is decoded."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqline.artifacts.evaluation import Evaluation, MetricValue, Sentence, append_sentences
from seqline.artifacts.exported_model import ExportedModel
from seqline.components.evaluate.gaps import gaps
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import RANKINGS, find_metric
from seqline.metrics.slices import Membership
from seqline.metrics.test_set import Row, TestSet

if TYPE_CHECKING:
    import numpy as np

    from seqline.components.evaluate.decoding import Decoded, Progress

log = logging.getLogger(__name__)

CHUNK_SIZE = 4096  # sentences in memory at a time


def measure(
    model: Path,
    test_set: TestSet,
    slices: list[Membership],
    folder: Path,
    absent: Evaluation,
    batch_size: int,
    added: Sequence[str] = (),
) -> tuple[Evaluation, "np.ndarray"]:
    """Measures a model on the test set.

    Args:
        model: The SavedModel's folder.
        test_set: The test set.
        slices: Its slices.
        folder: Where sentences and statistics are written.
        absent: The evaluation without metrics.
        batch_size: Sentences decoded at a time.
        added: Metrics of plugins.

    Returns:
        The evaluation, and the sentence-level scores by the task's ranking metric, of shape (sentences,).

    Raises:
        UserError: If the model does not load or answer, or gives scores that are not numbers.
    """
    # Imported here: recording an absent model must not wait seconds for TensorFlow.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from seqline.batch_threads import batch_threads, share_cores
    from seqline.components.evaluate.decoding import Progress, latencies, load, scoring
    from seqline.metrics.statistics import Tally
    from seqline.metrics.text_warnings import term_warnings, text_warnings

    description = ExportedModel(model).read_description()
    share_cores()
    signature = load(model)
    score = scoring(signature)
    sentences = sum(1 for _ in test_set)
    tally = Tally(folder, absent.task, absent.language, sentences, slices, added)
    log.info("decoding %d sentences in batches of %d", sentences, batch_size)
    start, decoding, waited = time.monotonic(), 0.0, 0.0
    with batch_threads() as threads, ThreadPoolExecutor(max_workers=1) as executor:
        _warm_up(threads, signature, score, next(test_set.chunks(1)))
        checked = executor.submit(text_warnings, test_set, absent.language)
        counted: Future[None] | None = None
        for chunk in _started(threads, signature, score, test_set, batch_size, Progress(sentences)):
            decoded, log_probabilities = chunk.decoded(), chunk.scored()
            decoding += decoded.seconds
            ended = time.monotonic()
            if counted is not None:
                counted.result()
            waited += time.monotonic() - ended
            sources, references = [row.source for row in chunk.rows], [row.reference for row in chunk.rows]
            batch = Batch(sources, references, decoded.outputs, log_probabilities)
            counted = executor.submit(tally.add, chunk.rows, batch)
            append_sentences(
                folder,
                (
                    Sentence(row.source, row.reference, output, score)
                    for row, output, score in zip(chunk.rows, decoded.outputs, decoded.scores, strict=True)
                ),
            )
        ended = time.monotonic()
        if counted is not None:
            counted.result()
    metrics, sliced = tally.metrics(), tally.sliced()
    waited += time.monotonic() - ended
    times = latencies(signature, [row.source for row in next(test_set.chunks(CHUNK_SIZE))])
    metrics |= gaps(sliced, absent.task, absent.min_slice_size)
    warnings = [*checked.result(), *term_warnings(sliced)]
    for warning in warnings:
        log.warning("%s", warning)
    metrics |= _model_metrics(model, times, sentences / decoding)
    for name, metric in metrics.items():
        log.info("%-29s %9.2f", find_metric(name).label, metric.value)
    seconds = time.monotonic() - start
    log.info("%.1f s, of which %.1f s were spent on scoring alone", seconds, waited)
    measured = replace(
        absent,
        absent=False,
        problem="",
        model_fingerprint=description.fingerprint,
        sentences=sentences,
        metrics=metrics,
        seconds=round(seconds, 3),
        counting_seconds=round(waited, 3),
        decoding=asdict(description.decoding) if description.decoding else {},
        slices=sliced,
        warnings=warnings,
    )
    return measured, tally.sentence_scores(RANKINGS[absent.task])


@dataclass(frozen=True)
class _Chunk:
    """Rows whose batches are queued.

    Attributes:
        rows: The rows.
        decoded: Waits for their outputs.
        scored: Waits for the log-probabilities of their references; None of a model that does not score.
    """

    rows: list[Row]
    decoded: "Callable[[], Decoded]"
    scored: "Callable[[], np.ndarray | None]"


def _started(
    threads: Executor, signature: Any, score: Any, test_set: TestSet, batch_size: int, progress: "Progress"
) -> Iterator[_Chunk]:
    """Queues the chunks; one is yielded when the next one is queued too, so that no thread waits for its batches."""
    from seqline.components.evaluate.decoding import start_decoding, start_scoring

    first, previous = 1, None
    for rows in test_set.chunks(CHUNK_SIZE):
        sources, references = [row.source for row in rows], [row.reference for row in rows]
        decoded = start_decoding(threads, signature, sources, batch_size, progress, first)
        scored = start_scoring(threads, score, sources, references, batch_size, first) if score else lambda: None
        if previous is not None:
            yield previous
        previous = _Chunk(rows, decoded, scored)
        first += len(rows)
    if previous is not None:
        yield previous


def _warm_up(threads: Executor, signature: Any, score: Any, rows: list[Row]) -> None:
    """Runs both signatures once, at the same time: TensorFlow prepares a graph in its first call, in one thread."""
    from seqline.components.evaluate.decoding import start_decoding, start_scoring

    sources, references = [row.source for row in rows], [row.reference for row in rows]
    decoded = start_decoding(threads, signature, sources, 1)
    scored = start_scoring(threads, score, sources, references, 1) if score else None
    decoded()
    if scored is not None:
        scored()


def _model_metrics(model: Path, milliseconds: list[float], throughput: float) -> dict[str, MetricValue]:
    ordered = sorted(milliseconds)
    size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
    signature = "one sentence at a time, on the machine that evaluates"
    return {
        "latency_p50": MetricValue(ordered[len(ordered) // 2], False, signature),
        "latency_p95": MetricValue(ordered[int(0.95 * len(ordered))], False, signature),
        "throughput": MetricValue(throughput, True, "in batches, on the machine that evaluates"),
        "model_size": MetricValue(size / 1e6, False, "files of the SavedModel"),
    }
