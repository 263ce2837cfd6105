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
    architecture: str = "transformer",
    preset: str = "tiny",
    norm_placement: str = "pre",
    norm: str = "rms",
    positions: str = "sinusoidal",
    activation: str = "relu",
    tied_embeddings: bool = True,
    batch_tokens: int = 4096,
    accumulate: int = 1,
    decay: str = "inverse_square_root",
    learning_rate: float = 0.002,
    warmup_steps: int = 400,
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
    dropout: float = 0.1,
    attention_dropout: float = 0.0,
    activation_dropout: float = 0.0,
    label_smoothing: float = 0.1,
    subword_sampling: float = 0.0,
    average: float = 0.999,
    precision: str = "auto",
    devices: str = "auto",
    xla: str = "auto",
    seed: int = 1,
    warm_start: str = "",
) -> NamedTuple("Outputs", [("worker_pool_specs", list), ("parameters", list)]):  # type: ignore[valid-type]
    """Writes a search down as Vertex AI's hyperparameter tuning takes it.

    Args:
        corpus: The tokenized corpus.
        space: By hyperparameter, {"min", "max"} with "scale" (log or linear), or {"values"}.
        worker: Machine, image and environment of a trial: a WorkerPoolSpec, to which the command is added.
        trial_epochs: Passes of each trial over the data, at most.
        trial_minutes: Training time of each, at most; 0 for no limit.
        architecture: transformer (encoder and decoder) or gpt (decoder only; the source is a prompt).
        preset: The model's size, in the first trial and where it is not searched; so for batch_tokens, learning_rate,
            warmup_steps, dropout, label_smoothing and average.
        norm_placement: Where blocks are normalized, pre or post.
        norm: How they are normalized, rms or layer.
        positions: Position encoding, sinusoidal, learned or rotary.
        activation: Activation of the feed-forward blocks, relu, gelu, silu or swiglu.
        tied_embeddings: Whether the output layer shares the embedding's weights.
        batch_tokens: Target tokens in a batch, padding included.
        accumulate: Batches whose gradients are averaged before the weights change.
        decay: How the learning rate falls, inverse_square_root or cosine.
        learning_rate: The highest learning rate, reached after the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        weight_decay: Share of the weights taken off at each step, times the learning rate (AdamW); 0 for Adam.
        clip_norm: Largest norm of the gradients; 0 for no limit.
        dropout: Share of activations dropped in training, 0 to 1.
        attention_dropout: Share of attention weights dropped in training, 0 to 1.
        activation_dropout: Share dropped in training inside the feed-forward blocks, 0 to 1.
        label_smoothing: Share of the probability spread over the vocabulary, 0 to 1.
        subword_sampling: Subword regularization, the smoothing by which other pieces are drawn in every epoch, such as
            0.1; 0 for none.
        average: Momentum of the moving average of the weights that are kept; 0 for none.
        precision: float32, bfloat16, or auto for bfloat16 where the processor multiplies it natively.
        devices: What trains, one device, mirrored (all GPUs), workers (from TF_CONFIG), tpu, or auto for what there is.
        xla: Whether the training step is compiled with XLA, on, off, or auto for on a TPU.
        seed: Decides initial weights, dropout and the order of the data.
        warm_start: A checkpoint folder whose weights every trial starts from; empty for random ones.

    Returns:
        worker_pool_specs: What a trial runs.
        parameters: What is searched.
    """
    given = dict(locals())
    from seqline.components.tune.plan_trials.stage import plan_trials as run
    from seqline.components.tune.stage import Budget, Options

    budget = Budget(1, trial_epochs, trial_minutes)
    return run(corpus.path, space, worker, warm_start, budget, Options.of(given))  # type: ignore[return-value]
