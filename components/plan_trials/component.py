"""The KFP contract of plan_trials."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Input


@dsl.component(base_image="seqline/train:0.1.0", install_kfp_package=False)
def plan_trials(
    corpus: Input[Dataset],
    space: dict,
    worker: dict,
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
) -> NamedTuple("Outputs", [("worker_pool_specs", list), ("parameters", list)]):  # type: ignore[valid-type]
    """Writes a search down as Vertex AI's hyperparameter tuning takes it.

    Args:
        corpus: The tokenized corpus.
        space: By hyperparameter, {"min", "max"} with "scale" (log or linear), or {"values"}.
        worker: Machine, image and environment of a trial: a WorkerPoolSpec, to which the command is added.
        trial_epochs: Passes of each trial over the data, at most.
        trial_minutes: Training time of each, at most; 0 for no limit.
        preset: The model's size, in the first trial and where it is not searched; so for the following.
        batch_tokens: Target tokens in a batch, padding included.
        learning_rate: The highest learning rate, reached after the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        dropout: Share of activations dropped, 0 to 1.
        label_smoothing: Share of the probability spread over the vocabulary, 0 to 1.
        average: Momentum of the moving average of the weights that are kept; 0 for none.
        precision: float32, bfloat16 or auto.
        seed: Decides initial weights and the order of the data.

    Returns:
        worker_pool_specs: What a trial runs.
        parameters: What is searched.
    """
    from components.plan_trials.stage import plan_trials as run
    from components.tune.stage import Budget, Hyperparameters

    budget = Budget(1, trial_epochs, trial_minutes, precision, seed)
    start = Hyperparameters(preset, batch_tokens, learning_rate, warmup_steps, dropout, label_smoothing, average)
    return run(corpus.path, space, worker, budget, start)  # type: ignore[return-value]
