"""Quality on the test set after fine-tuning with LoRA, and of the untouched checkpoint."""

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


def question_answering(pairs: Path, checkpoint: Path, folder: Path, minutes: float, quick: bool) -> Metrics:
    """Fine-tunes on questions with a context.

    Args:
        pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        checkpoint: The checkpoint's folder.
        folder: Working folder.
        minutes: Training time.
        quick: Whether to use a few pairs only.
    """
    found = _measure(pairs, checkpoint, folder / "qa", "question_answering", minutes, quick)
    names = {"exact_match": "exact_match", "token_f1": "token_f1", "minutes": "minutes"}
    names |= {f"{name}_untouched": f"{name}_untouched" for name in ("exact_match", "token_f1")}
    return {f"qa_{name}": found[source] for name, source in names.items()}


def summarization(pairs: Path, checkpoint: Path, folder: Path, minutes: float, quick: bool) -> Metrics:
    """Fine-tunes on summaries; the first sentence of the source is their baseline.

    Args:
        pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        checkpoint: The checkpoint's folder.
        folder: Working folder.
        minutes: Training time.
        quick: Whether to use a few pairs only.
    """
    found = _measure(pairs, checkpoint, folder / "summaries", "summarization", minutes, quick)
    found["rougeLsum_first_sentence"] = trivial(pairs, "summarization")["rougeLsum_baseline"]
    names = {
        "rouge_lsum": "rougeLsum",
        "rouge_lsum_untouched": "rougeLsum_untouched",
        "rouge_lsum_first_sentence": "rougeLsum_first_sentence",
        "minutes": "minutes",
    }
    return {f"summary_{name}": found[source] for name, source in names.items()}


def _measure(pairs: Path, checkpoint: Path, folder: Path, kind: str, minutes: float, quick: bool) -> Metrics:
    sizes = {"train": 64, "valid": 8, "test": 8} if quick else {"valid": VALID}
    corpus = prepare(pairs, checkpoint, folder, kind, sizes)
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
            EvaluateOptions().with_values(task=kind),
        )
        found |= {f"{metric}{suffix}": one.value for metric, one in evaluation.metrics.items()}
    show(f"{kind}: metrics on the test set", ["metric", "value"], list(found.items()))
    return found | {"minutes": float(last["seconds"]) / 60}
