"""The evaluation's report: metrics with intervals, slices, histograms, and the best and worst outputs."""

import random
from itertools import groupby
from pathlib import Path

import numpy as np

from seqline.artifacts.evaluation import Evaluation, Sentence, read_sentences
from seqline.atomic import atomic_write
from seqline.html_report.differences import differences
from seqline.html_report.page import render
from seqline.metrics.histogram import Histogram, histogram
from seqline.metrics.metrics import METRICS, RANKINGS, Labels

SAMPLES = 6


def write_report(report: Path, folder: Path, measured: Evaluation, direction: str, scores: np.ndarray | None) -> None:
    """Writes the report of an evaluation.

    Args:
        report: The HTML page to write.
        folder: The evaluation's folder.
        measured: The evaluation.
        direction: Source and target language.
        scores: Sentence-level scores of shape (sentences,); None where there is no model.
    """
    groups, histograms = ({}, []) if scores is None else (_groups(folder, scores), _histograms(folder, scores))
    page = render(
        Path(__file__).with_name("report.html"),
        evaluation=measured,
        direction=direction,
        labels=Labels(),
        ranking=METRICS[RANKINGS[measured.task]].label,
        slicings={name: list(group) for name, group in groupby(measured.slices, key=lambda one: one.slicing)},
        groups=groups,
        histograms=histograms,
    )
    atomic_write(report, page)


def _groups(folder: Path, scores: np.ndarray) -> dict[str, list[dict[str, object]]]:
    """Returns the sentences to show, by group; no sentence is in two groups."""
    order = np.argsort(-scores, kind="stable").tolist()
    end = min(SAMPLES, len(order) // 3)
    between = order[end : len(order) - end]
    groups = {
        "Furthest from the reference": order[::-1][:end],
        "Random sample": random.Random(0).sample(between, min(SAMPLES, len(between))),
        "Closest to the reference": order[:end],
    }
    shown = {index for indices in groups.values() for index in indices}
    found = {index: sentence for index, sentence in enumerate(read_sentences(folder)) if index in shown}
    return {name: [_sample(found[index], scores[index]) for index in indices] for name, indices in groups.items()}


def _sample(sentence: Sentence, score: float) -> dict[str, object]:
    reference, output = differences(sentence.reference, sentence.output)
    return {"sentence": sentence, "score": score, "reference": reference, "output": output}


def _histograms(folder: Path, scores: np.ndarray) -> list[tuple[str, list[str], Histogram]]:
    lengths = np.array([(len(one.output), len(one.reference)) for one in read_sentences(folder)])
    return [
        ("Sentences by score", ["Sentences"], histogram([scores])),
        ("Sentences by length in characters", ["Outputs", "References"], histogram(list(lengths.T))),
    ]
