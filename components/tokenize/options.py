"""Options of the tokenize stage."""

from dataclasses import dataclass

from components.errors import UserError


@dataclass(frozen=True)
class Options:
    """What decides a corpus besides the data.

    Attributes:
        source_language: Language code of the sources, such as en.
        target_language: Language code of the targets, such as de.
        source_field: Field of a JSONL object that holds the source.
        target_field: Field of a JSONL object that holds the target.
        valid_share: Share of the sources kept for validation, unless validation files are given.
        test_share: Share of the sources kept for the test, unless test files are given.
        max_tokens: Longest source or target in pieces; longer pairs are left out.
        max_length_ratio: Largest ratio of the two sides' lengths in pieces; 0 for no limit.
        drop_identical: Whether to leave out pairs whose sides are the same.
        max_malformed_share: Share of the rows that may be malformed; more stops the stage.
        vocabulary_size: Most pieces of the joint vocabulary; data that cannot fill it get fewer.
        character_coverage: Share of all characters that get pieces of their own; the rarest are spelt in bytes.
        tokenizer_sample: Most training pairs that the tokenizer is learnt from.
        shards: How many files the training pairs are spread over.
    """

    source_language: str = "en"
    target_language: str = "de"
    source_field: str = "source"
    target_field: str = "target"
    valid_share: float = 0.02
    test_share: float = 0.02
    max_tokens: int = 128
    max_length_ratio: float = 9.0
    drop_identical: bool = False
    max_malformed_share: float = 0.0
    vocabulary_size: int = 8000
    character_coverage: float = 0.9999
    tokenizer_sample: int = 1_000_000
    shards: int = 4

    def __post_init__(self) -> None:
        for name in ("source_language", "target_language", "source_field", "target_field"):
            if not getattr(self, name).strip():
                raise UserError(f"{name} is empty; give a name")
        for name in ("valid_share", "test_share", "max_malformed_share"):
            share = getattr(self, name)
            if not 0 <= share < 1:
                raise UserError(f"{name} must be at least 0 and below 1, not {share}")
        held_out = self.valid_share + self.test_share
        if held_out >= 1:
            raise UserError(f"valid_share and test_share must leave pairs for training; their sum is {held_out}")
        if not 0.9 <= self.character_coverage <= 1:
            raise UserError(f"character_coverage must be between 0.9 and 1, not {self.character_coverage}")
        if self.max_length_ratio != 0 and not self.max_length_ratio >= 1:
            raise UserError(f"max_length_ratio must be 0 (no limit) or at least 1, not {self.max_length_ratio}")
        for name, least in (("max_tokens", 1), ("vocabulary_size", 300), ("tokenizer_sample", 1), ("shards", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, not {getattr(self, name)}")
