"""The KFP contract of preflight."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Output


@dsl.component(base_image="seqline/preflight:0.1.0", install_kfp_package=False)
def preflight(
    corpus: Input[Dataset],
    preflight: Output[Artifact],
    metrics: Output[Metrics],
    tpu: str = "v5e:2x2",
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    warm_start: str = "",
) -> None:
    """Compiles training for a TPU, on a CPU; stops the run if it does not compile or does not fit.

    Args:
        corpus: The tokenized corpus.
        preflight: Memory, FLOP, memory traffic and time of a step by shape of batch; hours and cost of the training.
        metrics: The totals, for the console.
        tpu: The slice, such as v5e:2x2.
        options: Training options, the same as those of train.
        warm_start: Checkpoint folder whose weights training starts from; empty for random weights.
    """
    from pathlib import Path

    from seqline.components.train.options import Options
    from seqline.components.train.preflight.stage import preflight as run

    report = run(
        Path(corpus.path), Path(preflight.path), tpu, search=False, warm_start=warm_start, options=Options(**options)
    )
    metrics.metadata.update(report.metrics)
