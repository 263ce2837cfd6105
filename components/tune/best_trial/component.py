"""The KFP contract of best_trial."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Metrics, Output


@dsl.component(base_image="seqline/tokenize:0.1.0", install_kfp_package=False)
def best_trial(
    gcp_resources: str,
    tuning: Output[Artifact],
    metrics: Output[Metrics],
    report: Output[HTML],
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    training: dict = {},  # noqa: B006
    api_endpoint: str = "",
) -> NamedTuple("Outputs", [("training", dict)]):  # type: ignore[valid-type]
    """Reads the best trial of a hyperparameter tuning job of Vertex AI.

    Args:
        gcp_resources: The job, as HyperparameterTuningJobRunOp returns it.
        tuning: Every trial, and the best one's parameters as a configuration file.
        metrics: The best trial's loss, for the console.
        report: One page: the trials, ranked.
        options: Search space and budget; docs/parameters.md lists them under `tuning`.
        training: Training options where they were not searched.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.

    Returns:
        training: The training options with the best values.
    """
    from pathlib import Path

    from seqline.components.train.options import Options as Training
    from seqline.components.tune.best_trial.stage import best_trial as run
    from seqline.components.tune.options import Options

    pages = Path(tuning.path), Path(report.path)
    best, metrics.metadata["valid_loss"] = run(
        gcp_resources, *pages, Options(**options), Training(**training), api_endpoint
    )
    return (best.model_dump(),)  # type: ignore[return-value]
