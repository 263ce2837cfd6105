"""Rules: what they take, and which they refuse, before anything is collected."""

from typing import Any

import pytest

from seqline.components.monitor.figures import FIGURES
from seqline.components.monitor.options import Options
from seqline.components.monitor.rules import DEFAULT, AlarmRule
from seqline.configuration.arguments import read_arguments
from seqline.configuration.parameters import Parameters
from seqline.errors import UserError


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"figure": "token_distanse", "above": 0.1}, "no figure 'token_distanse'; did you mean 'token_distance'?"),
        ({"figure": "empty"}, "a rule needs either above or below"),
        ({"figure": "empty", "above": 0.1, "below": 0.0}, "a rule needs either above or below"),
        ({"figure": "empty", "above": 0.1, "against": "training"}, "with '' or 'previous', not with 'training'"),
        ({"figure": "token_distance", "above": 0.1}, "compared with 'training' or 'previous', not with ''"),
        ({"figure": "token_distance", "against": "training", "below": 0.1}, "set a limit above 0 and below 1"),
        ({"figure": "token_distance", "against": "training", "above": 1}, "set a limit above 0 and below 1"),
        ({"figure": "latency_p95", "below": 3}, "latency_p95 needs a limit above 0"),
        ({"figure": "empty", "above": 1.0}, "empty is between 0 and 1, so the limit 1 has no effect"),
        ({"figure": "rating", "below": -1.0}, "rating is between -1 and 1, so the limit -1 has no effect"),
        ({"figure": "empty", "above": 0.1, "than": "retrain"}, "than is unknown; did you mean 'then'?"),
    ],
)  # fmt: skip
def test_a_rule_that_can_not_be_judged_is_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        Options(rules=[rule])
    assert "rules[0]" in str(raised.value)
    assert message in str(raised.value)


def test_a_rule_twice_is_refused() -> None:
    rule = {"figure": "empty", "above": 0.1}
    with pytest.raises(UserError, match="two rules differ only in `then`: Empty outputs above"):
        Options(rules=[rule, {**rule, "then": "retrain"}])


def test_a_wrong_rule_is_refused_with_its_place_in_the_configuration() -> None:
    known = Parameters("seqline-monitoring", {"monitoring": "STRUCT", "endpoint": "STRING"}, {"monitoring": {}})
    found = read_arguments(known, {"monitoring": {"rules": [{"figure": "lenght_distance", "above": 0.2}]}})
    (fault,) = map(str, found.faults)
    assert fault.startswith("monitoring.rules[0]")
    assert "there is no figure 'lenght_distance'; did you mean 'length_distance'?" in fault


def test_the_default_rules_are_rules_and_one_asks_for_a_retraining() -> None:
    rules = [AlarmRule(**rule.model_dump()) for rule in DEFAULT]
    assert rules == list(DEFAULT)
    assert len({rule.key for rule in rules}) == len(rules)
    assert {rule.then for rule in rules} == {"notify", "retrain"}


def test_every_figure_can_be_in_a_rule() -> None:
    for figure in FIGURES.values():
        for against in figure.against:
            limit = 500 if figure.kind == "percentile" else 0.5
            assert AlarmRule(figure=figure.name, against=against, above=limit).describe().startswith(figure.label)
