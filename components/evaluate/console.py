"""What consoles show of an evaluation, and the file that Vertex's Model Registry is given.

Consoles show an artifact's metadata and never read the file of its metrics. On Vertex that file is imported into the
Model Registry as the version's evaluation: the figures that its schema of text generation has, by its names.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from seqline.artifacts.evaluation import Evaluation, Figure
from seqline.atomic import atomic_write

# general_text_generation_metrics_1.0.0.yaml: BLEU is sacreBLEU's, from 0 to 100; ROUGE is given on the same scale.
SCHEMA = {"bleu": "bleu", "rougeLsum": "rougeLSum"}


class Shown(Protocol):
    """An output artifact of KFP."""

    path: str
    metadata: dict[str, Any]


def show(measured: Evaluation, metrics: Shown, evaluation: Shown) -> None:
    """Gives artifacts the metadata that consoles show, and the metrics their file.

    Args:
        measured: The evaluation.
        metrics: The figures' artifact.
        evaluation: The evaluation's artifact.
    """
    write_metrics(Path(metrics.path), measured)
    metrics.metadata.update({name: figure.value for name, figure in measured.metrics.items()})
    evaluation.metadata.update(absent=measured.absent, model_fingerprint=measured.model_fingerprint)


def write_metrics(path: Path, measured: Evaluation) -> None:
    """Writes the file.

    Args:
        path: The metrics artifact's own path.
        measured: The evaluation; an absent one has no figures.
    """
    atomic_write(path, json.dumps(general_text_generation(measured.metrics), indent=1) + "\n")


def general_text_generation(figures: Mapping[str, Figure]) -> dict[str, float]:
    """The figures that the schema has, by its names.

    Args:
        figures: By the metric's name.
    """
    return {SCHEMA[name]: figure.value for name, figure in figures.items() if name in SCHEMA}
