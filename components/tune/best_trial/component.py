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
    space: dict,
    preset: str = "tiny",
    batch_tokens: int = 4096,
    learning_rate: float = 0.002,
    warmup_steps: int = 400,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    average: float = 0.999,
    api_endpoint: str = "",
) -> NamedTuple(  # type: ignore[valid-type]
    "Outputs",
    [
        ("preset", str),
        ("batch_tokens", int),
        ("learning_rate", float),
        ("warmup_steps", int),
        ("dropout", float),
        ("label_smoothing", float),
        ("average", float),
    ],
):
    """Reads the best trial of a hyperparameter tuning job of Vertex AI.

    Args:
        gcp_resources: The job, as HyperparameterTuningJobRunOp gives it.
        tuning: Every trial, and the best one's parameters as a configuration file.
        metrics: The best trial's figure, for the console.
        report: One page: the trials, ranked.
        space: What was searched.
        preset: The model's size, where it was not searched; so for the following.
        batch_tokens: Target tokens in a batch, padding included.
        learning_rate: The highest learning rate, reached after the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        dropout: Share of activations dropped, 0 to 1.
        label_smoothing: Share of the probability spread over the vocabulary, 0 to 1.
        average: Momentum of the moving average of the weights that are kept; 0 for none.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.

    Returns:
        preset: The best value, or what was given where it was not searched; so for the following.
        batch_tokens: Target tokens in a batch.
        learning_rate: The highest learning rate.
        warmup_steps: Steps over which the learning rate rises.
        dropout: Share of activations dropped.
        label_smoothing: Share of the probability spread over the vocabulary.
        average: Momentum of the moving average of the weights.
    """
    from pathlib import Path

    from seqline.components.tune.best_trial.stage import Hyperparameters
    from seqline.components.tune.best_trial.stage import best_trial as run

    start = Hyperparameters(preset, batch_tokens, learning_rate, warmup_steps, dropout, label_smoothing, average)
    best, metrics.metadata["valid_loss"] = run(
        gcp_resources, Path(tuning.path), Path(report.path), space, start, api_endpoint
    )
    return tuple(vars(best).values())  # type: ignore[return-value]
