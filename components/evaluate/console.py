"""The figures in the file of the console's metrics: those that Vertex's schema of text generation has, by its names.

Consoles show an artifact's metadata and never read its file. On Vertex the file is what is imported into the Model
Registry as the version's evaluation.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from components.evaluate.evaluation import Evaluation, Figure
from components.whole import write_whole

# general_text_generation_metrics_1.0.0.yaml: BLEU is sacreBLEU's, from 0 to 100; ROUGE is given on the same scale.
SCHEMA = {"bleu": "bleu", "rougeLsum": "rougeLSum"}


def write_metrics(path: Path, measured: Evaluation) -> None:
    """Writes the file.

    Args:
        path: The metrics artifact's own path.
        measured: The evaluation; an absent one has no figures.
    """
    write_whole(path, json.dumps(general_text_generation(measured.metrics), indent=1) + "\n")


def general_text_generation(figures: Mapping[str, Figure]) -> dict[str, float]:
    """The figures that the schema has, by its names.

    Args:
        figures: By the metric's name.
    """
    return {SCHEMA[name]: figure.value for name, figure in figures.items() if name in SCHEMA}
