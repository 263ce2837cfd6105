"""Every rule that is accepted can be checked; what cannot be is refused when it is read."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqline.artifacts.evaluation import Evaluation, MetricValue, read_evaluation, write_evaluation
from seqline.artifacts.human_evaluation import HUMAN_METRICS
from seqline.components.bless.checks import check_rules
from seqline.components.bless.evaluation_pair import EvaluationPair, read_pair
from seqline.components.bless.options import Options
from seqline.errors import UserError
from seqline.metrics.metrics import METRICS
from tests.components.bless.evaluations import ROWS, measured

KINDS = ({"minimum": 1}, {"maximum": 1}, {"margin": 1}, {"gain": 1})
TESTS: tuple[dict, ...] = ({}, {"confident": True}, {"significance": 0.05}, {"significance": 0.05, "test": "bootstrap"})
SLICES: tuple[dict, ...] = ({}, {"slices": "length"})
AGAINST: tuple[dict, ...] = ({}, {"against": "best"})


def rules(metric: str) -> Iterator[dict]:
    for parts in itertools.product(KINDS, TESTS, SLICES, AGAINST):
        yield {"metric": metric, **{key: value for part in parts for key, value in part.items()}}


def complete(folder: Path, model: str, wrong: int) -> Path:
    """An evaluation with every metric that a model can have."""
    log_probabilities = np.tile([-3.0, 2.0], (len(ROWS), 1))
    found = read_evaluation(measured(folder, model, wrong, log_probabilities=log_probabilities))
    others = {name: MetricValue(5.0, METRICS[name].higher_is_better, "s") for name in METRICS if "human" not in name}
    write_evaluation(folder, Evaluation(**{**vars(found), "metrics": {**others, **found.metrics}}))
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> EvaluationPair:
    home = tmp_path_factory.mktemp("pair")
    pair = read_pair(complete(home / "challenger", "new", 3), complete(home / "champion", "old", 4))
    ratings = dict.fromkeys(HUMAN_METRICS, MetricValue(60.0, True, "s", 52.0, 68.0))
    return replace(pair, human=ratings)


@pytest.mark.parametrize("metric", [*METRICS, "headline"])
def test_a_rule_is_refused_when_it_is_read_or_has_a_result(pair: EvaluationPair, metric: str) -> None:
    accepted = []
    for rule in rules(metric):
        try:
            (made,) = Options(gate=[rule]).gate
        except UserError as error:
            assert any(f"{field}" in str(error) for field in (*rule, metric)), f"{rule}: {error}"  # noqa: PT017
            continue
        (result,) = check_rules([made], pair, pair)
        accepted.append(rule)
        assert result.reason.endswith(".")
        for excuse in ("no confidence interval", "cannot be tested", "is not a number"):
            assert excuse not in result.reason, f"{rule}: {result.reason}"
    assert {"metric": metric, "maximum": 1} in accepted


@pytest.mark.parametrize(("kind", "limit", "sign"), [("minimum", 0.1, 1), ("maximum", 1000, -1)])
def test_a_confident_limit_of_a_slice_is_held_against_the_worse_end(
    pair: EvaluationPair, kind: str, limit: float, sign: int
) -> None:
    rule = {"metric": "chrf", kind: limit, "confident": True, "slices": "length"}
    (result,) = check_rules(Options(gate=[rule]).gate, pair)
    name = re.search(r"chrF\+?\+? of ([^:]+):", result.reason)
    assert name
    (value,) = [one.metrics["chrf"].value for one in pair.challenger.slices if one.name == name[1]]
    assert result.value is not None
    assert sign * result.value < sign * value
