"""The KFP contract of preflight."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Output


@dsl.component(base_image="seqline/preflight:0.1.0", install_kfp_package=False)
def preflight(
    corpus: Input[Dataset],
    preflight: Output[Artifact],
    metrics: Output[Metrics],
    tpu: str = "v5e:2x2",
    architecture: str = "transformer",
    preset: str = "tiny",
    norm_placement: str = "pre",
    norm: str = "rms",
    positions: str = "sinusoidal",
    activation: str = "relu",
    tied_embeddings: bool = True,
    epochs: int = 20,
    batch_tokens: int = 4096,
    accumulate: int = 1,
    decay: str = "inverse_square_root",
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
    dropout: float = 0.1,
    attention_dropout: float = 0.0,
    activation_dropout: float = 0.0,
    label_smoothing: float = 0.1,
    average: float = 0.999,
    precision: str = "auto",
) -> None:
    """Asks the TPU compiler whether training compiles and fits, before a TPU is rented; stops the run if it does not.

    Runs on a CPU. Its parameters are those of train that change the program.

    Args:
        corpus: The tokenized corpus.
        preflight: By shape of batch: memory, FLOP, bytes, time of a step; hours and cost of the whole.
        metrics: The whole's figures, for the console.
        tpu: The slice, such as v5e:2x2.
        architecture: transformer (encoder and decoder) or gpt (decoder only; the source is a prompt).
        preset: The model's size: demo, tiny, small, base or big.
        norm_placement: Where blocks are normalized, pre or post.
        norm: How they are normalized, rms or layer.
        positions: Position encoding, sinusoidal, learned or rotary.
        activation: Activation of the feed-forward blocks, relu, gelu, silu or swiglu.
        tied_embeddings: Whether the output layer shares the embedding's weights.
        epochs: Passes over the data, at most.
        batch_tokens: Target tokens in a batch, padding included.
        accumulate: Batches whose gradients are averaged before the weights change.
        decay: How the learning rate falls, inverse_square_root or cosine.
        weight_decay: Share of the weights taken off at each step, times the learning rate (AdamW); 0 for Adam.
        clip_norm: Largest norm of the gradients; 0 for no limit.
        dropout: Share of activations dropped in training, 0 to 1.
        attention_dropout: Share of attention weights dropped in training, 0 to 1.
        activation_dropout: Share dropped in training inside the feed-forward blocks, 0 to 1.
        label_smoothing: Share of the probability spread over the vocabulary, 0 to 1.
        average: Momentum of the moving average of the weights that are kept; 0 for none.
        precision: float32, bfloat16, or auto for bfloat16, which a TPU has.
    """
    given = dict(locals())
    from pathlib import Path

    from seqline.components.train.options import Options
    from seqline.components.train.preflight.stage import preflight as run

    output, options = Path(preflight.path), Options.of(given)
    metrics.metadata.update(run(Path(corpus.path), output, tpu, search=False, options=options).figures)
