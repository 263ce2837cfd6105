"""Options of the infer stage."""

from pydantic import Field

from seqline.schema.run import SourceOption


class Options(SourceOption):
    """How batch inference runs."""

    batch_size: int = Field(64, ge=1, description="Texts decoded at a time, at most; they are of similar lengths.")
    shard_lines: int = Field(
        2000, ge=1, description="Lines of a shard, which is finished, or repeated after a crash, as one."
    )
    max_malformed_share: float = Field(
        0.0, ge=0, le=1, description="Share of the lines that may be malformed; more stops the run."
    )
