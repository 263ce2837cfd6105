"""The KFP contract of preflight."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Output


@dsl.component(base_image="seqline/preflight:0.1.0", install_kfp_package=False)
def preflight(
    corpus: Input[Dataset],
    preflight: Output[Artifact],
    metrics: Output[Metrics],
    tpu: str = "v5e:2x2",
    preset: str = "tiny",
    epochs: int = 20,
    batch_tokens: int = 4096,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    average: float = 0.99,
    precision: str = "auto",
) -> None:
    """Asks the TPU compiler whether training compiles and fits, before a TPU is rented; stops the run if it does not.

    Runs on a CPU. Its parameters are those of train that change the program.

    Args:
        corpus: The tokenized corpus.
        preflight: By shape of batch: memory, FLOP, bytes, time of a step; hours and cost of the whole.
        metrics: The whole's figures, for the console.
        tpu: The slice, such as v5e:2x2.
        preset: The model's size: demo, tiny, small, base or big.
        epochs: Passes over the data, at most.
        batch_tokens: Target tokens in a batch, padding included.
        dropout: Share of activations dropped, 0 to 1.
        label_smoothing: Share of the probability spread over the vocabulary, 0 to 1.
        average: Momentum of the moving average of the weights that are kept; 0 for none.
        precision: float32, bfloat16, or auto for bfloat16, which a TPU has.
    """
    from pathlib import Path

    from components.preflight.stage import preflight as run
    from components.train.options import Options

    options = Options(
        preset=preset, epochs=epochs, batch_tokens=batch_tokens, dropout=dropout, label_smoothing=label_smoothing,
        average=average, precision=precision,
    )  # fmt: skip
    metrics.metadata.update(run(Path(corpus.path), Path(preflight.path), tpu, search=False, options=options).figures)
