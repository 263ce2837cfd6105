"""Metadata for consoles, and the metrics file for Vertex's Model Registry.

Consoles show an artifact's metadata and never read its file. On Vertex the metrics file is imported into the Model
Registry as the version's evaluation: the metrics in its schema of text generation, under its names.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from seqline.artifacts.evaluation import Evaluation, MetricValue
from seqline.atomic import atomic_write

# general_text_generation_metrics_1.0.0.yaml: BLEU is sacreBLEU's, from 0 to 100; ROUGE is given on the same scale.
SCHEMA = {"bleu": "bleu", "rougeLsum": "rougeLSum"}


class ArtifactWithMetadata(Protocol):
    """An output artifact of KFP."""

    path: str
    metadata: dict[str, Any]


def show(measured: Evaluation, metrics: ArtifactWithMetadata, evaluation: ArtifactWithMetadata) -> None:
    """Sets the metadata of the artifacts, and writes the metrics file.

    Args:
        measured: The evaluation.
        metrics: The artifact of the metrics.
        evaluation: The evaluation's artifact.
    """
    write_metrics(Path(metrics.path), measured)
    metrics.metadata.update({name: metric.value for name, metric in measured.metrics.items()})
    evaluation.metadata.update(absent=measured.absent, model_fingerprint=measured.model_fingerprint)
    if measured.absent:
        # A task whose output has a problem is not cached on a laptop; see seqline.targets.kfp_local.
        evaluation.metadata.update(standing=measured.standing, problem=measured.problem)


def write_metrics(path: Path, measured: Evaluation) -> None:
    """Writes the metrics file.

    Args:
        path: The metrics artifact's own path.
        measured: The evaluation; an absent one has no metrics.
    """
    atomic_write(path, json.dumps(general_text_generation(measured.metrics), indent=1) + "\n")


def general_text_generation(metrics: Mapping[str, MetricValue]) -> dict[str, float]:
    """Returns the metrics in the schema, under its names.

    Args:
        metrics: Values by the metric's name.
    """
    return {SCHEMA[name]: metric.value for name, metric in metrics.items() if name in SCHEMA}
