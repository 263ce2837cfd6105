"""The KFP contract of infer."""

from kfp import dsl
from kfp.dsl import Artifact, Input, Metrics, Model, Output


@dsl.component(base_image="seqline/infer:0.1.0", install_kfp_package=False)
def infer(
    data: str,
    fingerprint: str,
    model: Input[Model],
    predictions: Output[Artifact],
    metrics: Output[Metrics],
    source_field: str = "source",
    batch_size: int = 64,
    shard_lines: int = 2000,
    max_malformed_share: float = 0.1,
    checkpoints: str = "",
    beam_options: str = "",
) -> None:
    """Runs every line of large files through an exported model; continues a run that was killed.

    Args:
        data: Input files (.txt, .tsv, .jsonl, plain or .gz), local or gs://: a path, a pattern, or several with commas.
        fingerprint: The data's fingerprint from the snapshot task.
        model: An exported model, or a local endpoint's folder for its live version.
        predictions: One JSON Lines file in the order of the input, one line for each of its lines; and the counts.
        metrics: The counts, for the console.
        source_field: Field of a JSONL object that holds the text.
        batch_size: Most texts decoded at a time; they are of similar lengths.
        shard_lines: Lines that are finished, or done again after a crash, together.
        max_malformed_share: Share of the lines that may be malformed, 0 to 1; more stops the task.
        checkpoints: Folder of the finished shards, to continue from; empty for a place beside the output.
        beam_options: Flags for Apache Beam, such as --runner=...; one process in the task by default.
    """
    from pathlib import Path

    from seqline.components.infer.options import Options
    from seqline.components.infer.stage import infer as run

    options = Options(source_field, batch_size, shard_lines, max_malformed_share)
    counts = run(data, model.path, Path(predictions.path), fingerprint, checkpoints, beam_options, options)
    metrics.metadata.update(lines=counts.lines, predicted=counts.predicted, failed=counts.lines - counts.predicted)
