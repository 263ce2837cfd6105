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
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    warm_start: str = "",
    warm_start_fingerprint: str = "",
    checkpoints: str = "",
) -> None:
    """Trains the Transformer; resumes a run that was killed.

    Args:
        corpus: The tokenized corpus.
        checkpoint: Weights, configuration, tokenizer and history.
        metrics: The last epoch's metrics, for the console.
        report: One page: loss, learning rate, throughput, padding and BLEU by epoch.
        attention: One page: attention maps of validation sentences.
        options: Training options; docs/parameters.md lists them under `training`.
        warm_start: Checkpoint folder whose weights training starts from; empty for random weights.
        warm_start_fingerprint: The checkpoint's fingerprint from the snapshot task, which makes a replaced checkpoint a
            changed input.
        checkpoints: Folder of the working state that a killed run resumes from; empty for one beside the output.
    """
    from pathlib import Path

    from seqline.components.train.options import Options
    from seqline.components.train.stage import train as run

    outputs = (
        Path(checkpoint.path),
        checkpoints,
        warm_start,
        warm_start_fingerprint,
        Path(report.path),
        Path(attention.path),
    )
    metrics.metadata.update(run(Path(corpus.path), *outputs, Options(**options)))
