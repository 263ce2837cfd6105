"""Decodes the test set in chunks, and scores one chunk while the next is decoded."""

import logging
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seqline.artifacts.evaluation import Evaluation, MetricValue, Sentence, append_sentences
from seqline.artifacts.exported_model import ExportedModel
from seqline.components.evaluate.gaps import gaps
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import RANKINGS, find_metric
from seqline.metrics.slices import Membership
from seqline.metrics.test_set import TestSet

if TYPE_CHECKING:
    import numpy as np

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
    from seqline.components.evaluate.decoding import Progress, decode, latencies, load, score_references, scoring
    from seqline.metrics.statistics import Tally
    from seqline.metrics.text_warnings import term_warnings, text_warnings

    description = ExportedModel(model).read_description()
    signature = load(model)
    score = scoring(signature)
    sentences = sum(1 for _ in test_set)
    tally = Tally(folder, absent.task, absent.language, sentences, slices, added)
    progress = Progress(sentences)
    log.info("decoding %d sentences in batches of %d", sentences, batch_size)
    start, decoding, waited = time.monotonic(), 0.0, 0.0
    with ThreadPoolExecutor(max_workers=1) as executor:
        counted: Future[None] | None = None
        for rows in test_set.chunks(CHUNK_SIZE):
            sources, references = [row.source for row in rows], [row.reference for row in rows]
            first, began = progress.done + 1, time.monotonic()
            outputs, scores = decode(signature, sources, batch_size, progress, first)
            decoding += time.monotonic() - began
            log_probabilities = score_references(score, sources, references, batch_size, first) if score else None
            decoded = time.monotonic()
            if counted is not None:
                counted.result()
            waited += time.monotonic() - decoded
            counted = executor.submit(tally.add, rows, Batch(sources, references, outputs, log_probabilities))
            append_sentences(
                folder,
                (
                    Sentence(row.source, row.reference, output, score)
                    for row, output, score in zip(rows, outputs, scores, strict=True)
                ),
            )
        decoded = time.monotonic()
        if counted is not None:
            counted.result()
    metrics, sliced = tally.metrics(), tally.sliced()
    waited += time.monotonic() - decoded
    times = latencies(signature, [row.source for row in next(test_set.chunks(CHUNK_SIZE))])
    metrics |= gaps(sliced, absent.task, absent.min_slice_size)
    warnings = [*text_warnings(test_set, absent.language), *term_warnings(sliced)]
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
