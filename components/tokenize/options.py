"""Options of the tokenize stage."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from seqline.artifacts.corpus import TRUNCATED_TASKS
from seqline.artifacts.text_tokenizer import check_template
from seqline.schema.auto import OrAuto
from seqline.schema.options import refusing
from seqline.schema.run import FINGERPRINTS, PairOptions

LARGEST_VOCABULARY = 32_000
"""The largest vocabulary that `vocabulary_size` auto chooses."""


class Options(PairOptions):
    """How pairs are cleaned, split and tokenized."""

    valid_share: float = Field(
        0.02, ge=0, lt=1, description="Share of the sources held out for validation, unless valid_data is given."
    )
    test_share: float = Field(
        0.02, ge=0, lt=1, description="Share of the sources held out for testing, unless test_data is given."
    )
    max_tokens: int = Field(
        128,
        ge=1,
        description="Longest source or target in tokens. Longer sources of summarization and question_answering are "
        "truncated; other longer pairs are dropped.",
    )
    max_malformed_share: float = Field(
        0.0, ge=0, lt=1, description="Share of the rows that may be malformed; more stops the run."
    )
    rules: dict[str, Any] = Field(
        {}, description='Cleaning rules to switch or set, by name, such as {"identical": false, "length_ratio": 4}.'
    )
    plugins: dict[str, str] = Field({}, description=FINGERPRINTS)
    template: str = Field(
        "",
        description='Text around each source, with {source} in it, such as "summarize: {source}"; empty for none.',
    )
    chat: bool = Field(
        False, description="Whether the template is the user's message in the chat template of tokenizer's checkpoint."
    )
    model_type: Literal["unigram", "bpe"] = Field("unigram", description="Kind of SentencePiece model to train.")
    vocabulary_size: Annotated[Annotated[int, Field(ge=300)] | Literal["auto"], OrAuto()] = Field(
        8000,
        description="Size of the joint vocabulary, at most; small data get a smaller one. auto is the largest from "
        "1,000 to 32,000 of which 95% of the tokens are frequent, see docs/training.md; the default with "
        "training.preset auto.",
    )
    character_coverage: float = Field(
        0.9999,
        ge=0.9,
        le=1,
        description="Share of all characters that get tokens of their own; the rest is encoded as bytes.",
    )
    split_digits: bool = Field(
        True, description="Whether every digit is a token of its own, in the tokenizer that is trained."
    )
    tokenizer_sample: int = Field(
        1_000_000, ge=1, description="Number of training pairs that the tokenizer is trained on, at most."
    )
    shards: int = Field(4, ge=1, description="Number of files that the training pairs are written to, one a worker.")
    counterfactual: list[list[str]] = Field(
        [],
        description='Pairs of terms to swap in copies of training pairs, such as [["he", "she"]], or with the terms of '
        'the targets [["he", "she", "er", "sie"]].',
    )
    noise_share: float = Field(
        0.0, ge=0, lt=1, description="Share of the training pairs that are copied with typing errors in the source."
    )
    expectations: dict[str, Any] = Field(
        {}, description='Requirements on the corpus, by name, such as {"min_pairs": 1000, "max_rejected_share": 0.2}.'
    )

    @field_validator("template")
    @classmethod
    def _check_template(cls, value: str) -> str:
        with refusing():
            check_template(value)
        return value

    @field_validator("rules")
    @classmethod
    def _check_rules(cls, value: dict[str, Any]) -> dict[str, Any]:
        from seqline.components.tokenize.rules import check_changes

        with refusing():
            check_changes(value)
        return value

    @field_validator("expectations")
    @classmethod
    def _check_expectations(cls, value: dict[str, Any]) -> dict[str, Any]:
        from seqline.components.tokenize.expectations import check_names

        with refusing():
            check_names(value)
        return value

    @field_validator("counterfactual")
    @classmethod
    def _check_terms(cls, value: list[list[str]]) -> list[list[str]]:
        seen: set[tuple[int, str]] = set()
        for entry in value:
            if len(entry) not in (2, 4) or not all(term.strip() for term in entry):
                raise ValueError(
                    f'{entry!r} is not a pair of terms; write ["he", "she"], or with the targets\' terms '
                    '["he", "she", "er", "sie"]'
                )
            for side in (0, 1):
                for term in entry[2 * side * (len(entry) == 4) :][:2]:
                    if (side, term.lower()) in seen:
                        raise ValueError(f"{term!r} is in two pairs; remove one of them")
                    seen.add((side, term.lower()))
        return value

    @model_validator(mode="after")
    def _check_names(self) -> "Options":
        needed = ["source_language", "target_language", "target_field"]
        needed += ["source_field"] if self.task != "text_generation" else []
        empty = [name for name in needed if not getattr(self, name).strip()]
        if empty:
            raise ValueError(f"{' and '.join(empty)} must not be empty")
        if self.context_field and self.task != "question_answering":
            raise ValueError(f"context_field is for task=question_answering, not {self.task}")
        if len(set(self.fields)) < len(self.fields):
            raise ValueError(f"{', '.join(self.fields)}: source, target, context and slice need different fields")
        if self.chat and not self.tokenizer:
            raise ValueError("chat needs a pretrained checkpoint's folder as tokenizer: its chat template is used")
        if self.valid_share + self.test_share >= 1:
            held_out = self.valid_share + self.test_share
            raise ValueError(f"valid_share and test_share must leave pairs for training; their sum is {held_out}")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns that are read, in their order in a file without a header."""
        names = (self.source_field, self.context_field, self.target_field, self.slice_field)
        return tuple(name for name in names if name)

    def of(self, parameter: str) -> "Options":
        """The options for the files of a parameter: feedback has its own fields, whatever those of the data are.

        Args:
            parameter: Such as data or feedback.
        """
        if parameter != "feedback":
            return self
        source = "source" if self.source_field else ""
        fields = {"source_field": source, "target_field": "target", "context_field": "", "slice_field": ""}
        return self.model_copy(update=fields)

    @property
    def truncates_sources(self) -> bool:
        """Whether sources longer than `max_tokens` are truncated; otherwise their pairs are dropped."""
        return self.task in TRUNCATED_TASKS

    def content(self) -> dict[str, Any]:
        """Returns the options that decide the corpus's content: all but its expectations."""
        return self.model_dump(exclude={"expectations"} | (set() if self.plugins else {"plugins"}))
