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
) -> None:
    """Asks the TPU compiler, on a CPU, whether training compiles and fits; stops the run if it does not.

    Args:
        corpus: The tokenized corpus.
        preflight: By shape of batch: memory, FLOP, bytes, time of a step; hours and cost of the whole.
        metrics: The totals, for the console.
        tpu: The slice, such as v5e:2x2.
        options: Training options, the same as those of train.
    """
    from pathlib import Path

    from seqline.components.train.options import Options
    from seqline.components.train.preflight.stage import preflight as run

    output = Path(preflight.path)
    metrics.metadata.update(run(Path(corpus.path), output, tpu, search=False, options=Options(**options)).figures)
