"""Decodes the test text a stretch at a time, and counts one stretch while the next is decoded."""

import logging
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seqline.artifacts.evaluation import Evaluation, Figure, Sentence, append_sentences
from seqline.artifacts.exported_model import ExportedModel
from seqline.components.evaluate.gaps import gaps
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import METRICS, RANKINGS
from seqline.metrics.slices import Membership
from seqline.metrics.test_set import TestSet

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

STRETCH = 4096  # sentences: what memory holds


def measure(
    model: Path, text: TestSet, slices: list[Membership], folder: Path, absent: Evaluation, batch_size: int
) -> tuple[Evaluation, "np.ndarray"]:
    """Measures a model on the test text.

    Args:
        model: The SavedModel's folder.
        text: The test text.
        slices: The slices it has.
        folder: Where sentences and statistics are written.
        absent: What is known before.
        batch_size: Sentences decoded at a time.

    Returns:
        The figures, and the score of every sentence alone, by the task's ranking metric.

    Raises:
        UserError: If the model does not load or answer, or gives scores that are not numbers.
    """
    # Here and not above: an absent model is written down without the seconds that TensorFlow takes to import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from seqline.components.evaluate.decoding import Progress, decode, latencies, likelihoods, load, scoring
    from seqline.metrics.statistics import Tally

    description = ExportedModel(model).read_description()
    signature = load(model)
    score = scoring(signature)
    sentences = sum(1 for _ in text)
    tally = Tally(folder, absent.task, absent.language, sentences, slices)
    progress = Progress(sentences)
    log.info("decoding %d sentences in batches of %d", sentences, batch_size)
    start, decoding, waited = time.monotonic(), 0.0, 0.0
    with ThreadPoolExecutor(max_workers=1) as counting:
        counted: Future[None] | None = None
        for rows in text.stretches(STRETCH):
            sources, references = [row.source for row in rows], [row.reference for row in rows]
            first, began = progress.done + 1, time.monotonic()
            outputs, scores = decode(signature, sources, batch_size, progress, first)
            decoding += time.monotonic() - began
            probable = likelihoods(score, sources, references, batch_size, first) if score else None
            decoded = time.monotonic()
            if counted is not None:
                counted.result()
            waited += time.monotonic() - decoded
            counted = counting.submit(tally.add, rows, Batch(sources, references, outputs, probable))
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
    metrics, sliced = tally.figures(), tally.sliced()
    waited += time.monotonic() - decoded
    times = latencies(signature, [row.source for row in next(text.stretches(STRETCH))])
    metrics |= gaps(sliced, absent.task, absent.min_slice_size)
    metrics |= _of_the_model(model, times, sentences / decoding)
    for name, figure in metrics.items():
        log.info("%-29s %9.2f", METRICS[name].label, figure.value)
    seconds = time.monotonic() - start
    log.info("%.1f s, of which nothing but scoring went on for %.1f s", seconds, waited)
    measured = replace(
        absent,
        absent=False,
        model_fingerprint=description.fingerprint,
        sentences=sentences,
        metrics=metrics,
        seconds=round(seconds, 3),
        counting_seconds=round(waited, 3),
        decoding=asdict(description.decoding),
        slices=sliced,
    )
    return measured, tally.rank(RANKINGS[absent.task])


def _of_the_model(model: Path, milliseconds: list[float], throughput: float) -> dict[str, Figure]:
    ordered = sorted(milliseconds)
    size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
    one = "one sentence at a time, on the machine that evaluates"
    return {
        "latency_p50": Figure(ordered[len(ordered) // 2], False, one),
        "latency_p95": Figure(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], False, one),
        "throughput": Figure(throughput, True, "in batches, on the machine that evaluates"),
        "model_size": Figure(size / 1e6, False, "files of the SavedModel"),
    }
