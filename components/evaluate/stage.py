"""The evaluate stage: an exported model and the corpus's test text in, figures out."""

import logging
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import UserError
from components.evaluate.evaluation import Evaluation, Sentence, write_evaluation
from components.evaluate.metrics import METRICS, TASKS, measure, sentence_scores
from components.export.exported import ExportedModel
from components.report.page import render
from components.tokenize.corpus import Corpus
from components.whole import whole_folder, write_whole

log = logging.getLogger(__name__)

SAMPLES = 5


@dataclass(frozen=True)
class Options:
    """Options of evaluation.

    Attributes:
        task: What the model was trained for, which decides the metrics: translate, summarize or answer.
        batch_size: Sentences decoded at a time.
    """

    task: str = "translate"
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UserError(f"task must be one of {', '.join(TASKS)}, not {self.task!r}")
        if self.batch_size < 1:
            raise UserError(f"batch_size must be at least 1, not {self.batch_size}")


def evaluate(
    model: Path,
    corpus: Path,
    evaluation: Path,
    report: Path,
    options: Options = Options(),
) -> Evaluation:
    """Measures an exported model on a corpus's test text, through the signature that will be served.

    evaluation/
      evaluation.json   figures with their signatures, fingerprints of model and corpus
      sentences.jsonl   source, reference, output and score of every test sentence

    A model folder that is empty or missing is written down as absent: there is no champion to compare with.

    Args:
        model: The SavedModel's folder.
        corpus: The corpus folder that tokenize wrote.
        evaluation: The folder to write.
        report: The HTML page to write.
        options: Options of evaluation.

    Returns:
        What evaluation.json says.

    Raises:
        UserError: If the model does not load or gives scores that are not numbers, or the test text is empty
            or lacks a source or a reference.
    """
    manifest = Corpus(corpus).read_manifest()
    direction = f"{manifest.source_language} → {manifest.target_language}"
    if not model.is_dir() or not any(model.iterdir()):
        log.info("%s holds no model: writing down that it is absent", model)
        absent = Evaluation(absent=True, model_fingerprint="", corpus_fingerprint=manifest.fingerprint)
        _write(evaluation, report, absent, [], direction)
        return absent
    pairs = _test_text(corpus)
    description = ExportedModel(model).read_description()
    decode, signature = _decoder(model)
    start = time.monotonic()
    log.info("decoding %d sentences in batches of %d", len(pairs), options.batch_size)
    outputs, scores = decode(signature, [source for source, _ in pairs], options.batch_size)
    decoded = time.monotonic()
    references = [reference for _, reference in pairs]
    metrics = measure(options.task, references, outputs, manifest.target_language)
    measured = Evaluation(
        absent=False,
        model_fingerprint=description.fingerprint,
        corpus_fingerprint=manifest.fingerprint,
        sentences=len(pairs),
        metrics=metrics,
        seconds=round(time.monotonic() - start, 3),
    )
    log.info("decoding took %.1f s, scoring %.1f s", decoded - start, time.monotonic() - decoded)
    for name, figure in metrics.items():
        log.info("%-17s %8.2f", METRICS[name].label, figure.value)
    sentences = [
        Sentence(source, reference, output, score)
        for (source, reference), output, score in zip(pairs, outputs, scores, strict=True)
    ]
    _write(evaluation, report, measured, sentences, direction)
    return measured


def _test_text(corpus: Path) -> list[tuple[str, str]]:
    where = Corpus(corpus).text("test")
    try:
        rows = Corpus(corpus).read_text("test")
    except ValueError as error:
        raise UserError(f"{where} is not JSON Lines in UTF-8 ({error}): tokenize again") from error
    if not rows:
        raise UserError(f"{where} is empty: give tokenize more data, or a larger share of it for the test")
    for line, row in enumerate(rows, start=1):
        for field in ("source", "target"):
            text = row.get(field)
            if not isinstance(text, str) or not text.strip():
                raise UserError(f"{where} line {line} has no {field} text: tokenize again")
    return [(row["source"], row["target"]) for row in rows]


def _decoder(model: Path) -> tuple[Callable[[Any, list[str], int], tuple[list[str], list[float]]], Any]:
    # Here and not above: an absent model is written down without the seconds that TensorFlow takes to import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from components.evaluate.decoding import decode, load

    return decode, load(model)


def _write(evaluation: Path, report: Path, measured: Evaluation, sentences: list[Sentence], direction: str) -> None:
    with whole_folder(evaluation) as folder:
        write_evaluation(folder, measured, sentences)
    nearness = sentence_scores([one.reference for one in sentences], [one.output for one in sentences])
    bins = [0] * 10
    for score in nearness:
        bins[min(int(score // 10), 9)] += 1
    page = render(
        Path(__file__).with_name("report.html"),
        evaluation=measured,
        direction=direction,
        labels={metric.name: metric.label for metric in METRICS.values()},
        bins=[(f"{10 * place}-{10 * place + 10}", many) for place, many in enumerate(bins)],
        groups=_samples(sorted(zip(nearness, sentences, strict=True), key=lambda pair: -pair[0])),
    )
    write_whole(report, page)


def _samples(ranked: list[tuple[float, Sentence]]) -> dict[str, list[tuple[float, Sentence]]]:
    """The sentences to show, by group; where there are few, none is in two groups."""
    end = min(SAMPLES, len(ranked) // 3)
    between = ranked[end : len(ranked) - end]
    return {
        "Chosen at random": random.Random(0).sample(between, min(SAMPLES, len(between))),
        "Nearest to the reference": ranked[:end],
        "Furthest from the reference": ranked[::-1][:end],
    }
