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
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    training: dict = {},  # noqa: B006
    warm_start: str = "",
    warm_start_fingerprint: str = "",
    checkpoints: str = "",
) -> NamedTuple("Outputs", [("training", dict)]):  # type: ignore[valid-type]
    """Searches for the hyperparameters with the lowest validation loss; resumes a search that was killed.

    Args:
        corpus: The tokenized corpus.
        tuning: Every trial, and the best one's parameters as a configuration file.
        metrics: The best trial's loss, for the console.
        report: One page: the trials, ranked.
        options: Search space and budget; docs/parameters.md lists them under `tuning`.
        training: Training options of the first trial, and of all trials where they are not searched.
        warm_start: Checkpoint folder whose weights every trial starts from; empty for random weights.
        warm_start_fingerprint: The checkpoint's fingerprint from the snapshot task, which makes a replaced checkpoint a
            changed input.
        checkpoints: Folder of the study, to resume from; empty for one beside the output.

    Returns:
        training: The training options with the best values.
    """
    from pathlib import Path

    from seqline.components.train.options import Options as Training
    from seqline.components.tune.options import Options
    from seqline.components.tune.stage import tune as run

    outputs = Path(tuning.path), Path(report.path), checkpoints, warm_start, warm_start_fingerprint
    best, metrics.metadata["valid_loss"] = run(Path(corpus.path), *outputs, Options(**options), Training(**training))
    return (best.model_dump(),)  # type: ignore[return-value]
