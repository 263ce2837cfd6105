"""Options of the infer stage."""

from pydantic import Field

from seqline.schema.run import SourceOption


class Options(SourceOption):
    """Options of batch inference."""

    batch_size: int = Field(
        64, ge=1, description="Largest number of texts decoded together; they have similar lengths."
    )
    shard_lines: int = Field(2000, ge=1, description="Lines per shard; after a crash, unfinished shards are repeated.")
    max_malformed_share: float = Field(
        0.1, ge=0, le=1, description="Largest share of malformed lines; a larger share stops the run."
    )
