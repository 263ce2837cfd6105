"""Layout of the evaluation artifact: *evaluate* writes it, *bless* and *summary* read it.

evaluation/
  evaluation.json   metrics of the whole test set and of its slices
  sentences.jsonl   one line per sentence, in the order of the test set
  statistics/       per-sentence counts behind the metrics, one file per metric; see seqline.metrics.statistics
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from seqline.artifacts.record import Record, Schema

Standing = Literal["", "none", "same", "champion"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
FILE = "evaluation.json"
SENTENCES = "sentences.jsonl"


@dataclass(frozen=True)
class MetricValue:
    """The value of one metric, with what is needed to compare it.

    Attributes:
        value: The value, on the metric's own scale.
        higher_is_better: The metric's direction; None where neither is better.
        signature: How it was measured. Values are comparable only when their signatures are equal.
        low: Lower end of its 95% confidence interval, by bootstrap; None where it has none.
        high: Upper end.
    """

    value: float
    higher_is_better: bool | None
    signature: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The difference of two models in one metric, on the same sentences.

    Attributes:
        difference: The model's value minus the other model's.
        low: Lower end of the difference's 95% confidence interval, by bootstrap.
        high: Its upper end.
        p_bootstrap: Probability of such a difference between equal models, by paired bootstrap (Koehn 2004); never
            below `p_randomization`.
        p_randomization: The same by approximate randomization (Riezler and Maxwell 2005).
        sacrebleu_bootstrap: The p-value that sacreBLEU prints for its paired bootstrap; None in older files.
        sacrebleu_randomization: The p-value that it prints for approximate randomization.
    """

    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomization: float
    sacrebleu_bootstrap: float | None = None
    sacrebleu_randomization: float | None = None


@dataclass(frozen=True)
class Slice:
    """Metrics of a part of the test set.

    Attributes:
        slicing: What defines it: length, slice or terms.
        name: Its name, unique within its slicing.
        sentences: Number of pairs in it.
        metrics: Values by the metric's name; empty where there are no pairs.
    """

    slicing: str
    name: str
    sentences: int
    metrics: dict[str, MetricValue]


@dataclass(frozen=True)
class Sentence:
    """One sentence of the test set.

    Attributes:
        source: The model's input.
        reference: The expected target text.
        output: The model's output.
        score: The model's own score of its output, a length-normalised log probability.
    """

    source: str
    reference: str
    output: str
    score: float


@dataclass(frozen=True)
class Evaluation(Record):
    """A model's metrics on one test set.

    Attributes:
        absent: There are no metrics; `standing` or `problem` says why.
        model_fingerprint: Of the exported model; empty when absent.
        corpus_fingerprint: Of the corpus that the test set belongs to.
        sentences: Pairs in the test set; 0 when absent.
        metrics: Values by the metric's name; empty when absent. A NaN is read as NaN; the gate rejects it.
        seconds: Wall time of decoding and scoring.
        counting_seconds: The part of it that was spent on scoring alone.
        problem: Why an existing model could not be measured; empty otherwise.
        task: The task that the model was trained for.
        language: Code of the target language.
        decoding: The exported model's own decoding options.
        slices: Metrics of the slices.
        min_slice_size: Smaller slices are reported but excluded from gap metrics and gate rules.
        standing: Why there was no model to measure: there is none, it is the challenger itself (same), or it is the
            champion, which is measured by another task; empty otherwise.
        warnings: What is suspicious about the test set or its slices.
    """

    SCHEMA: ClassVar[Schema] = Schema(
        version=3,
        oldest=2,
        renamed={"smallest_slice": "min_slice_size"},
        remedy="evaluate the model with this version of Seqline",
    )

    absent: bool
    model_fingerprint: str
    corpus_fingerprint: str
    sentences: int = 0
    metrics: dict[str, MetricValue] = field(default_factory=dict)
    seconds: float = 0.0
    counting_seconds: float = 0.0
    problem: str = ""
    task: str = "translation"
    language: str = ""
    decoding: dict[str, Any] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)
    min_slice_size: int = 20
    standing: Standing = ""
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.absent and not self.standing and not self.problem:
            # Written before the reason was recorded. "None" would let everything pass.
            unknown = "its evaluation does not say why it has no metrics; " + self.SCHEMA.remedy
            object.__setattr__(self, "problem", unknown)


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Writes evaluation.json.

    Args:
        folder: The artifact's folder.
        evaluation: The metrics.
    """
    evaluation.write(folder / FILE)


def read_evaluation(folder: Path) -> Evaluation:
    """Reads evaluation.json.

    Args:
        folder: The artifact's folder.

    Raises:
        UserError: If the folder holds no evaluation, or one that this version does not read.
    """
    return Evaluation.read(Path(folder) / FILE)


def append_sentences(folder: Path, sentences: Iterable[Sentence]) -> None:
    """Appends to sentences.jsonl.

    Args:
        folder: The artifact's folder, which exists.
        sentences: The next sentences.
    """
    with (folder / SENTENCES).open("a", encoding="utf-8") as file:
        for sentence in sentences:
            file.write(json.dumps(vars(sentence), ensure_ascii=False, allow_nan=False) + "\n")


def read_sentences(folder: Path, limit: int | None = None) -> Iterator[Sentence]:
    """Reads sentences.jsonl lazily.

    Args:
        folder: The artifact's folder.
        limit: Stop after this many; all by default.

    Yields:
        The sentences in the order of the test set.
    """
    with (Path(folder) / SENTENCES).open(encoding="utf-8") as file:
        for line in islice(file, limit):
            yield Sentence(**json.loads(line))
