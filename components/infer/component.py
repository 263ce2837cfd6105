"""The KFP contract of infer."""

from kfp import dsl
from kfp.dsl import Artifact, Metrics, Output


@dsl.component(base_image="seqline/infer:0.1.0", install_kfp_package=False)
def infer(
    data: str,
    fingerprint: str,
    model: str,
    predictions: Output[Artifact],
    metrics: Output[Metrics],
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    checkpoints: str = "",
    beam_options: str = "",
) -> None:
    """Runs every line of large files through an exported model; resumes an interrupted run.

    Args:
        data: Input files (.txt, .tsv, .jsonl, optionally .gz, .zst or .bz2), local or in a bucket: a path, a pattern,
            or several with commas.
        fingerprint: The data's fingerprint from the snapshot task.
        model: An exported model, or an endpoint (a local folder or kserve://NAMESPACE/NAME), which stands for its live
            version.
        predictions: The predictions as JSON Lines, in the order of the input, and the counts.
        metrics: The counts, for the console.
        options: Inference options; docs/parameters.md lists them under `inference`.
        checkpoints: Folder of the finished shards, to resume from; empty for one next to the output.
        beam_options: Flags of Apache Beam, such as --runner=...; one process in the task by default.
    """
    from pathlib import Path

    from seqline.components.infer.options import Options
    from seqline.components.infer.stage import infer as run

    counts = run(data, model, Path(predictions.path), fingerprint, checkpoints, beam_options, Options(**options))
    metrics.metadata.update(lines=counts.lines, predicted=counts.predicted, failed=counts.lines - counts.predicted)
