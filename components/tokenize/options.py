"""Options of the tokenize stage."""

import shlex
from dataclasses import dataclass, field
from typing import Any

from seqline.errors import UserError

TASKS = ("translation", "summarization", "question_answering", "text_generation")


@dataclass(frozen=True)
class Options:
    """What decides a corpus besides the data.

    Attributes:
        task: translation, summarization, question_answering or text_generation; decides which rules apply.
        source_language: Language code of the sources, such as en.
        target_language: Language code of the targets, such as de.
        source_field: Column or field that holds the source; empty for text generation without a prompt.
        target_field: Column or field that holds the target.
        context_field: Column or field that holds the context of a question; empty for none.
        slice_field: Column or field that names the slice of a pair, such as its domain; empty for none.
        valid_share: Share of the sources kept for validation, unless validation files are given.
        test_share: Share of the sources kept for the test, unless test files are given.
        max_tokens: Longest source or target in pieces; longer pairs are left out.
        max_malformed_share: Share of the rows that may be malformed; more stops the stage.
        rules: Cleaning rules to switch or set, by name: {"identical": false, "length_ratio": 4}.
        tokenizer: A SentencePiece model to use, local or gs://; empty to learn one.
        model_type: What to learn: unigram or bpe.
        vocabulary_size: Most pieces of the joint vocabulary; data that cannot fill it get fewer.
        character_coverage: Share of all characters that get pieces of their own; the rarest are spelt in bytes.
        tokenizer_sample: Most training pairs that the tokenizer is learnt from.
        shards: How many parts the training pairs are spread over; each is the work of one worker.
        counterfactual: Terms that training pairs are copied with in each other's place: [["he", "she"]] on both sides,
            or [["he", "she", "er", "sie"]], the second two in targets, where each side has them equally often.
        noise_share: Share of the training pairs that are copied with typing errors in their source.
    """

    task: str = "translation"
    source_language: str = "en"
    target_language: str = "de"
    source_field: str = "source"
    target_field: str = "target"
    context_field: str = ""
    slice_field: str = ""
    valid_share: float = 0.02
    test_share: float = 0.02
    max_tokens: int = 128
    max_malformed_share: float = 0.0
    rules: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = ""
    model_type: str = "unigram"
    vocabulary_size: int = 8000
    character_coverage: float = 0.9999
    tokenizer_sample: int = 1_000_000
    shards: int = 4
    counterfactual: list[list[str]] = field(default_factory=list)
    noise_share: float = 0.0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UserError(f"task must be one of {', '.join(TASKS)}, not {self.task!r}")
        if self.model_type not in ("unigram", "bpe"):
            raise UserError(f"model_type must be unigram or bpe, not {self.model_type!r}")
        needed = ["source_language", "target_language", "target_field"]
        needed += ["source_field"] if self.task != "text_generation" else []
        for name in needed:
            if not getattr(self, name).strip():
                raise UserError(f"{name} is empty; give a name")
        self._check_numbers()
        from seqline.components.tokenize.rules import thresholds

        thresholds(self.task, self.rules)
        self._check_terms()

    def _check_terms(self) -> None:
        seen: set[tuple[int, str]] = set()
        for entry in self.counterfactual:
            words = (
                [term for term in entry if isinstance(term, str) and term.strip()] if isinstance(entry, list) else []
            )
            if len(words) not in (2, 4) or len(words) < len(entry):
                raise UserError(
                    f'counterfactual: {entry!r} is no pair of terms; write ["he", "she"], or with the targets\' terms '
                    '["he", "she", "er", "sie"]'
                )
            for side in (0, 1):
                for term in entry[2 * side * (len(entry) == 4) :][:2]:
                    if (side, term.lower()) in seen:
                        raise UserError(f"counterfactual: {term!r} is in two pairs; which is its other term?")
                    seen.add((side, term.lower()))

    def _check_numbers(self) -> None:
        for name in ("valid_share", "test_share", "max_malformed_share", "noise_share"):
            share = getattr(self, name)
            if not 0 <= share < 1:
                raise UserError(f"{name} must be at least 0 and below 1, not {share}")
        held_out = self.valid_share + self.test_share
        if held_out >= 1:
            raise UserError(f"valid_share and test_share must leave pairs for training; their sum is {held_out}")
        if not 0.9 <= self.character_coverage <= 1:
            raise UserError(f"character_coverage must be between 0.9 and 1, not {self.character_coverage}")
        for name, least in (("max_tokens", 1), ("vocabulary_size", 300), ("tokenizer_sample", 1), ("shards", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, not {getattr(self, name)}")

    def check_fields(self) -> None:
        """Refuses names of fields that do not go together.

        Raises:
            UserError: Two are the same, or there is a context without a question.
        """
        if self.context_field and self.task != "question_answering":
            raise UserError(f"context_field is for task=question_answering, not {self.task}")
        if len(set(self.fields)) < len(self.fields):
            raise UserError(f"{', '.join(self.fields)}: source, target, context and slice need fields of their own")

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns that are read, in the order that a file without a header has them."""
        names = (self.source_field, self.context_field, self.target_field, self.slice_field)
        return tuple(name for name in names if name)


@dataclass(frozen=True)
class Conditions:
    """What a corpus is held against, and where it is made; no byte of its shards depends on these.

    Attributes:
        previous_corpus: A corpus folder that drift is measured against, local or gs://; empty for none.
        expectations: What the corpus must be like, by name: {"min_pairs": 1000, "max_rejected_share": 0.2}.
        beam_options: Flags for Apache Beam, such as --runner=...; all cores of this machine by default.
    """

    previous_corpus: str = ""
    expectations: dict[str, Any] = field(default_factory=dict)
    beam_options: str = ""

    def __post_init__(self) -> None:
        from seqline.components.tokenize.expectations import check_names

        check_names(self.expectations)
        try:
            shlex.split(self.beam_options)
        except ValueError as error:
            raise UserError(f"beam_options cannot be split into flags ({error}): {self.beam_options}") from None
