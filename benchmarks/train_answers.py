"""What lets a model from random weights answer questions: exact match by kind of question, one experiment each.

`python -m benchmarks.train_answers PAIRS --minutes 12` runs all experiments, each in a process of its own.
`--only pointer` runs one, `--only pointer+by_source` two changes together, and `--only all` those that are expected to
help together. The questions' forms, such as "To which section does X belong", are their kinds.

    exact_match_NAME         of the experiment NAME on the test set
    exact_match_NAME_KIND    on the questions of a kind, whose words are joined by _
    token_f1_NAME, epochs_NAME, target_tokens_NAME, padding_share_NAME
"""

import json
import logging
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import show
from benchmarks.training.experiments import Experiments
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.evaluation import Sentence, read_sentences
from seqline.components.evaluate.options import Options as EvaluateOptions
from seqline.components.evaluate.stage import evaluate
from seqline.components.export.options import DecodingOptions
from seqline.components.export.stage import export
from seqline.components.train.options import USUAL, Options
from seqline.components.train.stage import train
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import METRICS

TASK = "question_answering"
TRAIN: dict[str, Any] = {"preset": "tiny", "warmup_steps": 300, "epochs": 1000, "patience": 0, **USUAL}
"""What all experiments have in common; the learning rate is derived from the target tokens of an update, and what is a
default of the task is off."""
UPDATES_A_MINUTE = 400
"""About, of preset tiny on two cores: a third of the updates of a training have exercises in copying."""
EXPERIMENTS = Experiments(
    {
        "none": {},
        "rate_of_translation": {"learning_rate": 0.004},
        "rate_0.0005": {"learning_rate": 0.0005},
        "rate_0.001": {"learning_rate": 0.001},
        "rate_0.002": {"learning_rate": 0.002},
        "beta_2": {"beta_2": 0.995},
        "by_source": {"bucket_by": "source"},
        "pointer": {"pointer": True},
        "copy_warmup": {"copy_warmup_steps": UPDATES_A_MINUTE},
        "digits_together": {"split_digits": False},
        "rotary": {"positions": "rotary"},
        "no_smoothing": {"label_smoothing": 0.0},
    },
    {"task": TASK, "vocabulary_size": 8000},
    ("by_source", "pointer", "rotary", "no_smoothing"),
)
"""copy_warmup_steps are a minute's."""
LONGEST = 40
"""Tokens of an output, at most: no answer is longer."""
RARE = 0.02
"""A word that fewer of the questions have is a part of their content, not of their form."""


def main() -> None:
    """Runs the benchmark."""
    description = "exact match by kind of question, after training from random weights"
    EXPERIMENTS.main("train_answers", description, run, minutes=12, only=list(EXPERIMENTS.options), seeds=[1])


def run(pairs: Path, folder: Path, name: str, minutes: float, seed: int) -> dict[tuple[str, str], float]:
    """Runs an experiment.

    Args:
        pairs: Folder with train.tsv.gz, valid.tsv.gz and test.tsv.gz.
        folder: Folder for the corpora, which experiments share.
        name: Its name, or several joined by +.
        minutes: Training time.
        seed: Seed of the training.

    Returns:
        The metrics, by name and by what is appended to the experiment's name.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    corpus, training = EXPERIMENTS.prepared(pairs, folder, name)
    if "copy_warmup_steps" in training:
        training["copy_warmup_steps"] = max(1, round(training["copy_warmup_steps"] * minutes / 3))
    with tempfile.TemporaryDirectory() as working:
        checkpoint, model, evaluation = (Path(working) / part for part in ("checkpoint", "model", "evaluation"))
        options = Options(**{**TRAIN, "minutes": minutes, "seed": seed, **training})
        train(corpus, checkpoint, options=options)
        history = json.loads(Checkpoint(checkpoint).history.read_text(encoding="utf-8"))
        columns = ["epoch", "loss", "valid_loss", "valid_accuracy", "valid_exact_match", "seconds"]
        show(name, columns, [[float(entry[column]) for column in columns] for entry in history])
        export(checkpoint, corpus, model, DecodingOptions(max_output_length=LONGEST))
        report = Path(working) / "report.html"
        evaluate(str(model), corpus, evaluation, report, EvaluateOptions().with_values(task=TASK))
        sentences = list(read_sentences(evaluation))
    found = {
        ("exact_match", ""): score(sentences, "exact_match"),
        ("token_f1", ""): score(sentences, "token_f1"),
        ("epochs", ""): float(len(history)),
        ("target_tokens", ""): sum(float(entry["target_tokens"]) for entry in history),
        ("padding_share", ""): statistics.fmean(float(entry["padding_share"]) for entry in history),
    }
    by_kind = kinds([sentence.source for sentence in sentences])
    rows = []
    for kind, count in Counter(by_kind).most_common():
        of_kind = [one for one, other in zip(sentences, by_kind, strict=True) if other == kind]
        found["exact_match", "_" + kind.replace(" ", "_")] = value = score(of_kind, "exact_match")
        rows.append([kind, count, value])
    show(f"{name}: exact match {found['exact_match', '']:.1f}", ["kind", "questions", "exact match"], rows)
    return found


def score(sentences: Sequence[Sentence], metric: str) -> float:
    """The value of a metric.

    Args:
        sentences: Test sentences with outputs.
        metric: exact_match or token_f1.
    """
    sources, references = [one.source for one in sentences], [one.reference for one in sentences]
    batch = Batch(sources, references, [one.output for one in sentences])
    counter = METRICS[metric].counts("en")
    return float(counter.score(counter.count(batch).sum(axis=0)[None])[0])


def kinds(sources: Sequence[str]) -> list[str]:
    """Finds the kind of each question: its frequent words, with X in place of the others.

    Args:
        sources: Such as "question: To which section does less belong? context: ...".
    """
    questions = [re.sub(r"^question:\s*", "", source).partition("?")[0].split() for source in sources]
    counts = Counter(word for question in questions for word in set(question))
    common = {word for word, count in counts.items() if count >= RARE * len(questions)}
    forms = [" ".join(word if word in common else "X" for word in question) for question in questions]
    return [re.sub(r"X( X)+", "X", form) for form in forms]


if __name__ == "__main__":
    main()
