"""The KFP contract of train."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="seqline/train:0.1.0", install_kfp_package=False)
def train(
    corpus: Input[Dataset],
    checkpoint: Output[Model],
    metrics: Output[Metrics],
    report: Output[HTML],
    attention: Output[HTML],
    architecture: str = "transformer",
    preset: str = "tiny",
    norm_placement: str = "pre",
    norm: str = "rms",
    positions: str = "sinusoidal",
    activation: str = "relu",
    tied_embeddings: bool = True,
    epochs: int = 20,
    minutes: float = 0.0,
    monitor: str = "loss",
    patience: int = 5,
    decoded_sample: int = 64,
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
    checkpoints: str = "",
) -> None:
    """Trains the Transformer; continues a run that was killed.

    Args:
        corpus: The tokenized corpus.
        checkpoint: Weights, configuration, tokenizer and history.
        metrics: The last epoch's figures, for the console.
        report: One page: loss, learning rate, throughput, padding and BLEU by epoch.
        attention: One page: attention maps of validation sentences.
        architecture: transformer (encoder and decoder) or gpt (decoder only; the source is a prompt).
        preset: The model's size, demo, tiny, small, base or big, or auto to choose by the corpus and the minutes.
        norm_placement: Where blocks are normalized, pre or post.
        norm: How they are normalized, rms or layer.
        positions: Position encoding, sinusoidal, learned or rotary.
        activation: Activation of the feed-forward blocks, relu, gelu, silu or swiglu.
        tied_embeddings: Whether the output layer shares the embedding's weights.
        epochs: Passes over the data, at most.
        minutes: Training time, at most; 0 for no limit.
        monitor: What tells the best epoch on the validation pairs, loss, perplexity, accuracy, or of the decoded sample
            bleu or rouge_l.
        patience: Epochs without a better one before training stops; 0 for no limit.
        decoded_sample: Validation sentences decoded after every epoch for BLEU and ROUGE-L; 0 for none.
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
        average: Momentum of the moving average of the weights that are kept, reached by and by; 0 for none.
        precision: float32, bfloat16, or auto for bfloat16 where the processor multiplies it natively.
        devices: What trains, one device, mirrored (all GPUs), workers (from TF_CONFIG), tpu, or auto for what there is.
        xla: Whether the training step is compiled with XLA, on, off, or auto for on a TPU.
        seed: Decides initial weights, dropout and the order of the data.
        warm_start: A checkpoint folder, such as the champion's, whose weights training starts from; empty for random
            ones.
        checkpoints: Folder of the trainer's working state, from which a killed run continues; empty for a place beside
            its output.
    """
    given = dict(locals())
    from pathlib import Path

    from seqline.components.train import stage

    outputs = Path(checkpoint.path), checkpoints, warm_start, Path(report.path), Path(attention.path)
    metrics.metadata.update(stage.train(Path(corpus.path), *outputs, stage.Options.of(given)))
