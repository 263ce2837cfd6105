"""The registry of metrics: what each is called, which way is better, and what it is good for.

The reference libraries do the counting; they are imported when a metric is computed, so that stages which
only compare figures can read the registry without them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from components.errors import UserError
from components.evaluate.evaluation import Figure

Task = Literal["translate", "summarize", "answer"]
TASKS: tuple[Task, ...] = get_args(Task)
EVERY = frozenset(TASKS)


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: Its key in artifacts and parameters.
        label: What reports call it.
        higher_is_better: Its direction; None where neither is better, so that no rule can rest on it.
        tasks: The tasks it says something about.
        score: Takes references, outputs and the target language's code; returns the figure and a signature
            that says how it was measured.
    """

    name: str
    label: str
    higher_is_better: bool | None
    tasks: frozenset[Task]
    score: Callable[[list[str], list[str], str], tuple[float, str]]


def measure(task: str, references: list[str], outputs: list[str], language: str) -> dict[str, Figure]:
    """Computes every metric of a task.

    Args:
        task: What the model was trained for, one of `TASKS`.
        references: The expected texts, at least one.
        outputs: The model's texts, as many and in the same order.
        language: Code of the target language, such as `de` or `zh-Hans`.

    Returns:
        The figures by name, in the registry's order.
    """
    found = {}
    for metric in METRICS.values():
        if task in metric.tasks:
            value, signature = metric.score(references, outputs, language)
            found[metric.name] = Figure(float(value), metric.higher_is_better, signature)
    return found


def find_metric(name: str, field: str) -> Metric:
    """Looks up a metric that a rule is to rest on.

    Args:
        name: The metric's name.
        field: The option that names it, for the message.

    Raises:
        UserError: If there is no such metric, or none of its directions is better.
    """
    if name not in METRICS or METRICS[name].higher_is_better is None:
        known = ", ".join(metric.name for metric in METRICS.values() if metric.higher_is_better is not None)
        raise UserError(f"{field}: {name!r} is no metric that a rule can rest on; take one of {known}")
    return METRICS[name]


def sentence_scores(references: list[str], outputs: list[str]) -> list[float]:
    """Scores single sentences, to rank samples: chrF, which needs neither words nor long texts.

    Args:
        references: The expected texts.
        outputs: The model's texts, as many.

    Returns:
        chrF of each, from 0 to 100.
    """
    if not references:
        return []
    from sacrebleu.metrics import CHRF

    chrf = CHRF()
    return [
        chrf.sentence_score(output, [reference]).score for reference, output in zip(references, outputs, strict=True)
    ]


def _bleu(references: list[str], outputs: list[str], language: str) -> tuple[float, str]:
    from sacrebleu.metrics import BLEU

    from components.evaluate.language import bleu_tokenizer

    metric = BLEU(tokenize=bleu_tokenizer(language))
    return metric.corpus_score(outputs, [references]).score, str(metric.get_signature())


def _chrf(references: list[str], outputs: list[str], language: str) -> tuple[float, str]:
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    return metric.corpus_score(outputs, [references]).score, str(metric.get_signature())


def _rouge(kind: str, references: list[str], outputs: list[str], language: str) -> tuple[float, str]:
    from components.evaluate.rouge import rouge

    return rouge(kind, references, outputs, language)


def _exact_match(references: list[str], outputs: list[str], language: str) -> tuple[float, str]:
    same = sum(reference.strip() == output.strip() for reference, output in zip(references, outputs, strict=True))
    return 100 * same / len(references), "percent|case:mixed|outer spaces ignored"


def _length_ratio(references: list[str], outputs: list[str], language: str) -> tuple[float, str]:
    return sum(map(len, outputs)) / sum(map(len, references)), "characters of outputs / of references"


def _empty_outputs(references: list[str], outputs: list[str], language: str) -> tuple[float, str]:
    return 100 * sum(not output.strip() for output in outputs) / len(outputs), "percent"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("bleu", "BLEU", True, frozenset({"translate"}), _bleu),
        Metric("chrf", "chrF", True, frozenset({"translate", "summarize"}), _chrf),
        Metric("rouge1", "ROUGE-1", True, EVERY, partial(_rouge, "rouge1")),
        Metric("rouge2", "ROUGE-2", True, EVERY, partial(_rouge, "rouge2")),
        Metric("rougeL", "ROUGE-L", True, EVERY, partial(_rouge, "rougeL")),
        Metric("exact_match", "Exact match, %", True, EVERY, _exact_match),
        Metric("length_ratio", "Length ratio", None, EVERY, _length_ratio),
        Metric("empty_outputs", "Empty outputs, %", False, EVERY, _empty_outputs),
    )
}
