"""Layout of the evaluation artifact: what *evaluate* writes, and *bless* and *summary* read.

evaluation/
  evaluation.json   figures of the whole test text and of its slices
  sentences.jsonl   one line a sentence, in the order of the test text
  statistics/       what the figures were added up from, a file a metric; see seqline.metrics.statistics

Standard library only: other images import this module.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from seqline.errors import UserError

SCHEMA_VERSION = 2
FIGURES = "evaluation.json"
SENTENCES = "sentences.jsonl"


@dataclass(frozen=True)
class Figure:
    """One metric's figure, with what is needed to compare it.

    Attributes:
        value: The figure, on the metric's own scale.
        higher_is_better: The metric's direction; None where neither is better.
        signature: How it was measured. Figures are comparable only when their signatures are equal.
        low: Lower end of its 95% interval, by bootstrap; None where it has none.
        high: Upper end.
    """

    value: float
    higher_is_better: bool | None
    signature: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Comparison:
    """One figure of two models on the same sentences.

    Attributes:
        difference: The figure less the other model's.
        low: Lower end of the difference's 95% interval, by bootstrap.
        high: Its upper end.
        p_bootstrap: Probability of such a difference between equals, by paired bootstrap (Koehn 2004).
        p_randomization: The same by approximate randomization (Riezler and Maxwell 2005).
    """

    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomization: float


@dataclass(frozen=True)
class Slice:
    """The figures of a part of the test text.

    Attributes:
        slicing: What it was cut by: length, slice or terms.
        name: Its name among the others of its slicing.
        sentences: Pairs in it.
        metrics: Figures by the metric's name; empty where there are no pairs.
    """

    slicing: str
    name: str
    sentences: int
    metrics: dict[str, Figure]


@dataclass(frozen=True)
class Sentence:
    """One sentence of the test text.

    Attributes:
        source: What the model was given.
        reference: The target text that was expected.
        output: What the model answered.
        score: The model's own score of its answer, a length-normalised log probability.
    """

    source: str
    reference: str
    output: str
    score: float


@dataclass(frozen=True)
class Evaluation:
    """A model's figures on one test text.

    Attributes:
        absent: There are no figures: no champion yet, the champion is the challenger itself, or it cannot be measured.
        model_fingerprint: Of the exported model; empty when absent.
        corpus_fingerprint: Of the corpus that the test text belongs to.
        sentences: Pairs in the test text; 0 when absent.
        metrics: Figures by the metric's name; empty when absent.
        seconds: Wall time of decoding and scoring.
        counting_seconds: The part of it in which nothing but scoring went on.
        problem: Why a model that is there could not be measured; empty otherwise.
        task: What the model was trained for.
        language: Code of the target language.
        decoding: The exported model's own decoding options.
        slices: Figures of the slices.
        min_slice_size: Slices of fewer sentences are told, but no gap and no rule rests on them.
    """

    absent: bool
    model_fingerprint: str
    corpus_fingerprint: str
    sentences: int = 0
    metrics: dict[str, Figure] = field(default_factory=dict)
    seconds: float = 0.0
    counting_seconds: float = 0.0
    problem: str = ""
    task: str = "translation"
    language: str = ""
    decoding: dict[str, Any] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)
    min_slice_size: int = 20


def append_sentences(folder: Path, sentences: Iterable[Sentence]) -> None:
    """Writes the next sentences into an existing folder.

    Args:
        folder: Where `sentences.jsonl` is, or goes.
        sentences: What the figures are measured on.
    """
    with (folder / SENTENCES).open("a", encoding="utf-8") as file:
        for sentence in sentences:
            file.write(json.dumps(vars(sentence), ensure_ascii=False, allow_nan=False) + "\n")


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Writes the figures into an existing folder.

    Args:
        folder: Where `evaluation.json` goes.
        evaluation: The figures.
    """
    content = {"schema_version": SCHEMA_VERSION, **asdict(evaluation)}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / FIGURES).write_text(text + "\n", encoding="utf-8")


def read_evaluation(folder: Path) -> Evaluation:
    """Reads the figures of an evaluation.

    Args:
        folder: The artifact's folder.

    Returns:
        The figures. A NaN that someone wrote is kept as NaN: judging it is the reader's business.

    Raises:
        UserError: If the folder holds no evaluation, or one of another schema version.
    """
    path = Path(folder) / FIGURES
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise UserError(
                f"{path} has schema version {content['schema_version']}, this Seqline reads {SCHEMA_VERSION}: "
                "evaluate the model again"
            )
        del content["schema_version"]
        slices = [Slice(**{**one, "metrics": figures(one["metrics"])}) for one in content["slices"]]
        return Evaluation(**{**content, "metrics": figures(content["metrics"]), "slices": slices})
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no evaluation ({FIGURES} is missing): run evaluate first") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not an evaluation ({error!r}): evaluate the model again") from error


def read_sentences(folder: Path, most: int | None = None) -> Iterator[Sentence]:
    """Reads the sentences of an evaluation, one at a time.

    Args:
        folder: The artifact's folder.
        most: Stop after this many; all by default.

    Yields:
        The sentences in the order of the test text.
    """
    with (Path(folder) / SENTENCES).open(encoding="utf-8") as file:
        for line in islice(file, most):
            yield Sentence(**json.loads(line))


def figures(content: dict[str, dict[str, Any]]) -> dict[str, Figure]:
    """Figures from their JSON form.

    Args:
        content: Metric name to `{"value", "higher_is_better", "signature"}`.
    """
    return {name: Figure(**figure) for name, figure in content.items()}
