"""The evaluation's page: figures with intervals, slices, histograms, sentences near to their references and far."""

import random
from itertools import groupby
from pathlib import Path

import numpy as np

from seqline.artifacts.evaluation import Evaluation, Sentence, read_sentences
from seqline.atomic import atomic_write
from seqline.html_report.differences import differences
from seqline.html_report.page import render
from seqline.metrics.metrics import METRICS, RANKINGS

SAMPLES = 6
COLUMNS = 20  # of a histogram


def write_report(report: Path, folder: Path, measured: Evaluation, direction: str, ranks: np.ndarray | None) -> None:
    """Writes the page of an evaluation.

    Args:
        report: The HTML page to write.
        folder: The evaluation's folder.
        measured: The figures.
        direction: From which language to which.
        ranks: The score of every sentence alone; None where there is no model.
    """
    groups, histograms = ({}, []) if ranks is None else (_samples(folder, ranks), _histograms(folder, ranks))
    page = render(
        Path(__file__).with_name("report.html"),
        evaluation=measured,
        direction=direction,
        labels={metric.name: metric.label for metric in METRICS.values()},
        ranking=METRICS[RANKINGS[measured.task]].label,
        slicings={name: list(group) for name, group in groupby(measured.slices, key=lambda one: one.slicing)},
        groups=groups,
        histograms=histograms,
    )
    atomic_write(report, page)


def _samples(folder: Path, ranks: np.ndarray) -> dict[str, list[dict[str, object]]]:
    """The sentences to show, by group; where there are few, none is in two groups."""
    order = np.argsort(-ranks, kind="stable").tolist()
    end = min(SAMPLES, len(order) // 3)
    between = order[end : len(order) - end]
    groups = {
        "Furthest from the reference": order[::-1][:end],
        "Chosen at random": random.Random(0).sample(between, min(SAMPLES, len(between))),
        "Nearest to the reference": order[:end],
    }
    wanted = {place for places in groups.values() for place in places}
    found = {place: one for place, one in enumerate(read_sentences(folder)) if place in wanted}
    return {name: [_shown(found[place], ranks[place]) for place in places] for name, places in groups.items()}


def _shown(sentence: Sentence, rank: float) -> dict[str, object]:
    reference, output = differences(sentence.reference, sentence.output)
    return {"sentence": sentence, "rank": rank, "reference": reference, "output": output}


def _histograms(folder: Path, ranks: np.ndarray) -> list[tuple[str, list[str], list[tuple[str, list[int]]]]]:
    lengths = np.array([(len(one.output), len(one.reference)) for one in read_sentences(folder)])
    return [
        ("Sentences by their own score", ["Sentences"], histogram([ranks])),
        ("Sentences by length in characters", ["Outputs", "References"], histogram(list(lengths.T))),
    ]


def histogram(series: list[np.ndarray]) -> list[tuple[str, list[int]]]:
    """Counts values in columns of one width.

    Args:
        series: Values of one or more kinds.

    Returns:
        For each column its label, and how many values of each kind it has.
    """
    everything = np.concatenate(series)
    # The last hundredth is in the last column: one text of a thousand words must not flatten the rest.
    low, high = np.floor(everything.min()), np.ceil(np.quantile(everything, 0.99))
    width = max(1, int(np.ceil((high - low) / COLUMNS)))
    edges = low + width * np.arange(int((high - low) // width) + 1)
    counts = [
        np.bincount(np.clip((one - low) // width, 0, len(edges) - 1).astype(int), minlength=len(edges))
        for one in series
    ]
    labels = [f"{edge:g}" for edge in edges]
    if everything.max() >= edges[-1] + width:
        labels[-1] += "+"
    return [(label, [int(count[place]) for count in counts]) for place, label in enumerate(labels)]
