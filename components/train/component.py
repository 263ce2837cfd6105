"""The KFP contract of train."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="seqline/train:0.1.0", install_kfp_package=False)
def train(
    corpus: Input[Dataset],
    checkpoint: Output[Model],
    metrics: Output[Metrics],
    preset: str = "tiny",
    epochs: int = 20,
    minutes: float = 0.0,
    patience: int = 5,
    batch_tokens: int = 4096,
    learning_rate: float = 0.002,
    warmup_steps: int = 400,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    average: float = 0.99,
    precision: str = "auto",
    seed: int = 1,
    checkpoints: str = "",
) -> None:
    """Trains the Transformer; continues a run that was killed.

    Args:
        corpus: The tokenized corpus.
        checkpoint: Weights, configuration, tokenizer and history.
        metrics: The last epoch's figures, for the console.
        preset: The model's size: demo, tiny, small, base or big.
        epochs: Passes over the data, at most.
        minutes: Training time, at most; 0 for no limit.
        patience: Epochs without a better validation loss before training stops; 0 for no limit.
        batch_tokens: Target tokens in a batch, padding included.
        learning_rate: The highest learning rate, reached after the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        dropout: Share of activations dropped, 0 to 1.
        label_smoothing: Share of the probability spread over the vocabulary, 0 to 1.
        average: Momentum of the moving average of the weights that are kept; 0 for none.
        precision: float32, bfloat16, or auto for bfloat16 where the processor multiplies it natively.
        seed: Decides initial weights, dropout and the order of the data.
        checkpoints: Folder of the working state, to continue from; empty for a place beside the output.
    """
    from pathlib import Path

    from components.train.stage import Options
    from components.train.stage import train as run

    options = Options(
        preset=preset, epochs=epochs, minutes=minutes, patience=patience, batch_tokens=batch_tokens,
        learning_rate=learning_rate, warmup_steps=warmup_steps, dropout=dropout, label_smoothing=label_smoothing,
        average=average, precision=precision, seed=seed,
    )  # fmt: skip
    metrics.metadata.update(run(Path(corpus.path), Path(checkpoint.path), checkpoints, options=options))
