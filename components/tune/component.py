"""The KFP contract of tune."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Output


@dsl.component(base_image="seqline/train:0.1.0", install_kfp_package=False)
def tune(
    corpus: Input[Dataset],
    tuning: Output[Artifact],
    metrics: Output[Metrics],
    report: Output[HTML],
    space: dict,
    trials: int = 20,
    trial_epochs: int = 5,
    trial_minutes: float = 0.0,
    preset: str = "tiny",
    batch_tokens: int = 4096,
    learning_rate: float = 0.002,
    warmup_steps: int = 400,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    average: float = 0.99,
    precision: str = "auto",
    seed: int = 1,
    checkpoints: str = "",
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
    """Searches for the hyperparameters with the least validation loss; continues a search that was killed.

    Args:
        corpus: The tokenized corpus.
        tuning: Every trial, and the best one's parameters as a configuration file.
        metrics: The best trial's figure, for the console.
        report: One page: the trials, ranked.
        space: By hyperparameter, {"min", "max"} with "scale" (log or linear), or {"values"}; empty for the usual three.
        trials: Trainings, pruned ones included.
        trial_epochs: Passes of each over the data, at most.
        trial_minutes: Training time of each, at most; 0 for no limit.
        preset: The model's size, in the first trial and where it is not searched; so for the following.
        batch_tokens: Target tokens in a batch, padding included.
        learning_rate: The highest learning rate, reached after the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        dropout: Share of activations dropped, 0 to 1.
        label_smoothing: Share of the probability spread over the vocabulary, 0 to 1.
        average: Momentum of the moving average of the weights that are kept; 0 for none.
        precision: float32, bfloat16 or auto.
        seed: Decides initial weights, the order of the data, and what is tried.
        checkpoints: Folder of the study, to continue from; empty for a place beside the output.

    Returns:
        preset: The best value, or what was given where it is not searched; so for the following.
        batch_tokens: Target tokens in a batch.
        learning_rate: The highest learning rate.
        warmup_steps: Steps over which the learning rate rises.
        dropout: Share of activations dropped.
        label_smoothing: Share of the probability spread over the vocabulary.
        average: Momentum of the moving average of the weights.
    """
    from pathlib import Path

    from components.tune.stage import Budget, Hyperparameters
    from components.tune.stage import tune as run

    start = Hyperparameters(preset, batch_tokens, learning_rate, warmup_steps, dropout, label_smoothing, average)
    best, metrics.metadata["valid_loss"] = run(
        Path(corpus.path), Path(tuning.path), Path(report.path), space, checkpoints,
        Budget(trials, trial_epochs, trial_minutes, precision, seed), start,
    )  # fmt: skip
    return tuple(vars(best).values())  # type: ignore[return-value]
