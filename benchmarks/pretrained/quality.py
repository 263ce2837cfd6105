"""Quality on the test set after fine-tuning with LoRA, and of the untouched checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pretrained.corpora import prepare
from benchmarks.results import show
from benchmarks.train_quality import baseline as trivial
from seqline.components.evaluate.options import Options as EvaluateOptions
from seqline.components.evaluate.stage import evaluate
from seqline.components.export.baseline.stage import baseline
from seqline.components.export.options import DecodingOptions
from seqline.components.export.stage import export
from seqline.components.train.options import Options
from seqline.components.train.stage import train
from seqline.pretrained.source import find

BATCH_TOKENS = 1024
"""Half an hour on a few cores is some hundreds of updates of this size."""
VALID = 64
"""Validation pairs: the training time includes their evaluation."""

Metrics = dict[str, float | str]


@dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Attributes:
        task: The task that is trained and measured.
        prefix: Start of the figures' names.
        metrics: The metrics of the evaluation, by the figures' names.
    """

    task: str
    prefix: str
    metrics: Mapping[str, str]


QUESTIONS = Part("question_answering", "qa", {"exact_match": "exact_match", "token_f1": "token_f1"})
SUMMARIES = Part("summarization", "summary", {"rouge_lsum": "rougeLsum"})


def measure(part: Part, pairs: Path, checkpoint: Path, folder: Path, minutes: float, quick: bool) -> Metrics:
    """Fine-tunes, and measures the result and the untouched checkpoint; of summaries the first sentence too.

    Args:
        part: QUESTIONS or SUMMARIES.
        pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        checkpoint: The checkpoint's folder.
        folder: Working folder.
        minutes: Training time.
        quick: Whether to use a few pairs only.
    """
    found = _evaluated(part.task, pairs, checkpoint, folder / part.prefix, minutes, quick)
    figures = {
        f"{part.prefix}_{name}{suffix}": found[f"{metric}{suffix}"]
        for name, metric in part.metrics.items()
        for suffix in ("", "_untouched")
    }
    if part is SUMMARIES:
        figures["summary_rouge_lsum_first_sentence"] = trivial(pairs, part.task)["rougeLsum_baseline"]
    return figures | {f"{part.prefix}_minutes": found["minutes"]}


def _evaluated(task: str, pairs: Path, checkpoint: Path, folder: Path, minutes: float, quick: bool) -> Metrics:
    sizes = {"train": 64, "valid": 8, "test": 8} if quick else {"valid": VALID}
    corpus = prepare(pairs, checkpoint, folder, task, sizes)
    fingerprint = find(str(checkpoint)).fingerprint
    options = Options(
        pretrained=str(checkpoint),
        pretrained_fingerprint=fingerprint,
        fine_tuning="lora",
        batch_tokens=BATCH_TOKENS,
        epochs=1 if quick else 1000,
        minutes=0.0 if quick else minutes,
        decoded_sample=0,
        patience=0,
    )
    last = train(corpus, folder / "checkpoint", options=options)
    decoding = DecodingOptions(beam_size=1, length_penalty=0.0, max_output_length=32 if not quick else 8)
    export(folder / "checkpoint", corpus, folder / "model", decoding)
    baseline(str(checkpoint), fingerprint, corpus, folder / "untouched", decoding)
    found: Metrics = {}
    for name, suffix in (("model", ""), ("untouched", "_untouched")):
        evaluation = evaluate(
            str(folder / name),
            corpus,
            folder / f"evaluation{suffix}",
            folder / "evaluation.html",
            EvaluateOptions().with_values(task=task),
        )
        found |= {f"{metric}{suffix}": one.value for metric, one in evaluation.metrics.items()}
    show(f"{task}: metrics on the test set", ["metric", "value"], list(found.items()))
    return found | {"minutes": float(last["seconds"]) / 60}
