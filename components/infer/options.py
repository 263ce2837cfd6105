"""Options of the infer stage."""

from dataclasses import dataclass

from seqline.errors import UserError


@dataclass(frozen=True)
class Options:
    """Options of batch inference.

    Attributes:
        source_field: Field of a JSONL object that holds the text.
        batch_size: Most texts decoded at a time; they are of similar lengths.
        shard_lines: Lines that are finished, or done again after a crash, together.
        max_malformed_share: Share of the lines that may be malformed; more stops the stage.
    """

    source_field: str = "source"
    batch_size: int = 64
    shard_lines: int = 2000
    max_malformed_share: float = 0.1

    def __post_init__(self) -> None:
        for name in ("batch_size", "shard_lines"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.max_malformed_share <= 1:
            raise UserError(f"max_malformed_share must be between 0 and 1, not {self.max_malformed_share}")
