"""Which version is the best so far."""

import math
from dataclasses import replace

import pytest

from seqline.artifacts.evaluation import Evaluation
from seqline.components.bless.anchor import compare_with_best
from seqline.components.bless.evaluation_pair import EvaluationPair
from tests.components.bless.evaluations import evaluation


@pytest.mark.parametrize(
    ("ours", "theirs", "moves"),
    [(40.0, 39.0, True), (39.0, 40.0, False), (math.nan, 40.0, False), (40.0, math.nan, False)],
)
def test_the_best_version_is_that_with_the_better_headline(ours: float, theirs: float, moves: bool) -> None:
    pair = EvaluationPair(evaluation(bleu=ours), evaluation("old", bleu=theirs))
    assert compare_with_best(pair, None).moves is moves
    other = EvaluationPair(evaluation(bleu=ours), evaluation("champion", bleu=0.0))
    assert compare_with_best(other, pair).moves is moves


def without_metrics(one: Evaluation) -> Evaluation:
    return replace(one, metrics={})


def test_what_cannot_be_measured_stays_the_best() -> None:
    unmeasured = EvaluationPair(evaluation(), without_metrics(evaluation("old")))
    assert not compare_with_best(unmeasured, None).moves
    broken = EvaluationPair(evaluation(), None, problem="it does not load")
    found = compare_with_best(EvaluationPair(evaluation(), evaluation("old")), broken)
    assert (found.moves, "it does not load" in found.reason) == (False, True)


def test_a_first_version_and_the_best_itself_are_the_best() -> None:
    assert compare_with_best(EvaluationPair(evaluation(), None), None).moves
    assert compare_with_best(EvaluationPair(evaluation(), evaluation()), None).moves
