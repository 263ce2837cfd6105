"""The KFP contract of evaluate."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="seqline/evaluate:0.1.0", install_kfp_package=False)
def evaluate(
    corpus: Input[Dataset],
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    report: Output[HTML],
    model: Input[Model] = None,  # type: ignore[assignment]
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    opponent: dict = {},  # noqa: B006
) -> None:
    """Measures an exported model on the test set, through the signature that will be served.

    Args:
        corpus: The corpus whose test set is decoded.
        evaluation: Metrics with their signatures and intervals, slices, and every test sentence with its output.
        metrics: The same metrics, for the console.
        report: One page: metrics, slices, histograms, and the best and worst outputs.
        model: The SavedModel; none for a version of the endpoint, whose address is among what champion found.
        options: Task and evaluation options; docs/parameters.md lists them.
        opponent: What champion found about the version to compare with, whose evaluation records why it cannot be
            measured; empty for the challenger, which must be.
    """
    from pathlib import Path

    from seqline.artifacts.opponent import Opponent
    from seqline.components.evaluate import console, stage
    from seqline.components.evaluate.options import Options

    known = Opponent.from_parameter(opponent) if opponent else Opponent()
    paths = model.path if model else known.address, Path(corpus.path), Path(evaluation.path), Path(report.path)
    console.show(
        stage.evaluate(*paths, Options(**options), not opponent, known.standing, known.problem, known.files),
        metrics,
        evaluation,
    )
