"""The batch pipeline: a large file of texts in, a prediction for every line out."""

from kfp import dsl

from seqline.components.infer.component import infer
from seqline.components.snapshot.component import snapshot


@dsl.pipeline(name="seqline-batch")
def batch(
    data: str = "",
    model: str = "",
    source_field: str = "source",
    batch_size: int = 64,
    shard_lines: int = 2000,
    max_malformed_share: float = 0.1,
    checkpoints: str = "",
    beam_options: str = "",
) -> None:
    """Runs every line of large files through an exported model.

    Args:
        data: Texts, one a line (.txt, .tsv with the text in its first column, .jsonl, plain or .gz), local or gs://: a
            path, a pattern, or several with commas.
        model: Folder or gs:// address of an exported model, or the folder of a local endpoint for its live version.
        source_field: Field of a JSONL object that holds the text.
        batch_size: Most texts decoded at a time; they are of similar lengths.
        shard_lines: Lines that are finished, or done again after a crash, together.
        max_malformed_share: Share of the lines that may be malformed, 0 to 1; more stops the run.
        checkpoints: Folder of the finished shards, from which a killed run continues; empty for a place beside the
            output.
        beam_options: Flags for Apache Beam, such as --runner=...; one process in the task by default.
    """
    parameters = {name: value for name, value in locals().items() if name != "model"}
    taken = snapshot(**parameters).set_caching_options(enable_caching=False)
    imported = dsl.importer(artifact_uri=model, artifact_class=dsl.Model)
    predicted = infer(
        data=data,
        fingerprint=taken.outputs["fingerprint"],
        model=imported.output,
        source_field=source_field,
        batch_size=batch_size,
        shard_lines=shard_lines,
        max_malformed_share=max_malformed_share,
        checkpoints=checkpoints,
        beam_options=beam_options,
    )
    # What is live at an endpoint changes behind its address.
    predicted.set_caching_options(enable_caching=False)
