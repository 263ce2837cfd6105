"""Evaluations for the tests of the gate."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from seqline.artifacts.decision import Decision, RuleResult, read_decision
from seqline.artifacts.evaluation import (
    Evaluation,
    MetricValue,
    Sentence,
    Slice,
    Standing,
    append_sentences,
    write_evaluation,
)
from seqline.components.bless.checks import check_rules
from seqline.components.bless.evaluation_pair import EvaluationPair
from seqline.components.bless.options import Options
from seqline.components.bless.stage import bless
from seqline.metrics.batch import Batch
from seqline.metrics.slices import find_slices
from seqline.metrics.statistics import Tally
from seqline.metrics.test_set import Row

HIGHER = {"bleu": True, "chrf": True, "empty_outputs": False, "latency_p95": False, "length_ratio": None}
ROWS = [Row(f"source {n} word", f"the reference {n} has words to get right") for n in range(60)]


def evaluation(model: str = "new", signature: str = "tok:13a", **values: float) -> Evaluation:
    """An evaluation as the stage makes it."""
    numbers = {"bleu": 30.0, "chrf": 55.0, "empty_outputs": 0.0, "latency_p95": 90.0, "length_ratio": 1.0, **values}
    metrics = {
        name: MetricValue(value, HIGHER[name], signature, value - 1, value + 1) for name, value in numbers.items()
    }
    return Evaluation(False, model, "corpus", 8, metrics, language="de")


def slices(**values: float) -> list[Slice]:
    return [Slice("slice", name, 50, {"bleu": MetricValue(value, True, "s")}) for name, value in values.items()]


def check(rule: dict, ours: Evaluation, theirs: Evaluation | None = None, problem: str = "") -> RuleResult:
    (found,) = check_rules(Options(gate=[rule]).gate, EvaluationPair(ours, theirs, problem))
    return found


def measured(
    folder: Path,
    model: str,
    wrong: int,
    task: str = "translation",
    terms: Mapping[str, list[str]] = {},
    log_probabilities: np.ndarray | None = None,
    added: Sequence[str] = (),
) -> Path:
    """An evaluation of real texts, in which every output whose number `wrong` divides has wrong words."""
    folder.mkdir(parents=True)
    outputs = [row.reference if n % wrong else f"wrong words {n}" for n, row in enumerate(ROWS)]
    slices = find_slices(ROWS, terms)
    tally = Tally(folder, task, "de", len(ROWS), slices, added)
    sources, references = [row.source for row in ROWS], [row.reference for row in ROWS]
    tally.add(ROWS, Batch(sources, references, outputs, log_probabilities))
    pairs = zip(ROWS, outputs, strict=True)
    append_sentences(folder, (Sentence(row.source, row.reference, output, -0.5) for row, output in pairs))
    one = Evaluation(False, model, "corpus", len(ROWS), tally.metrics(), 1.0, task=task, language="de")
    write_evaluation(folder, replace(one, slices=tally.sliced(), min_slice_size=10))
    return folder


def absent(folder: Path, problem: str = "", standing: Standing = "none") -> Path:
    folder.mkdir(parents=True)
    append_sentences(folder, [])
    write_evaluation(folder, Evaluation(True, "", "corpus", problem=problem, standing="" if problem else standing))
    return folder


def decide(challenger: Path, champion: Path, rules: list[dict] | None = None, best: Path | None = None) -> Decision:
    home = challenger.parent
    options = Options(gate=rules or [])
    made = bless(challenger, champion, home / "decision", home / "report.html", options=options, best=best)
    assert read_decision(home / "decision") == made
    return made
