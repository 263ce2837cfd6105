from dataclasses import replace
from pathlib import Path

import pytest

from seqline.artifacts.evaluation import MetricValue, Slice, read_evaluation, write_evaluation
from seqline.artifacts.human_evaluation import HumanEvaluation
from seqline.components.bless.evaluation_pair import EvaluationPair, read_pair
from seqline.errors import UserError
from seqline.metrics.metrics import counted
from tests.components.bless.evaluations import ROWS, absent, check, decide, evaluation, measured


def test_values_measured_differently_are_refused() -> None:
    with pytest.raises(UserError, match="measured differently"):
        check({"metric": "bleu", "margin": 1}, evaluation(), evaluation("old", signature="tok:zh"))


@pytest.mark.parametrize("change", [{"corpus_fingerprint": "other"}, {"sentences": 9}, {"task": "summarization"}])
def test_different_test_sets_are_refused(tmp_path: Path, change: dict) -> None:
    challenger = measured(tmp_path / "challenger", "new", 5)
    (tmp_path / "champion").mkdir()
    write_evaluation(tmp_path / "champion", replace(evaluation("old"), **{"sentences": len(ROWS), **change}))
    with pytest.raises(UserError, match="different test sets"):
        decide(challenger, tmp_path / "champion")
    assert not (tmp_path / "decision").exists()


def test_without_a_challenger_nothing_is_decided(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no challenger to bless"):
        decide(absent(tmp_path / "challenger"), absent(tmp_path / "champion"))


def test_a_rule_on_a_metric_that_was_not_measured_is_refused() -> None:
    with pytest.raises(UserError, match="rouge1, which the evaluation of new does not have"):
        check({"metric": "rouge1", "minimum": 1}, evaluation())


def test_a_folder_without_an_evaluation_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"evaluation\.json is missing; evaluate the model"):
        decide(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema_version": 1}', '{"schema_version": 2, "absent": false}'])
def test_a_broken_evaluation_is_a_users_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "evaluation.json").write_text(text)
    with pytest.raises(UserError, match=r"evaluation\.json"):
        decide(tmp_path / "a", tmp_path / "a")


def test_slices_are_selected_by_kind_and_size_and_paired_by_name() -> None:
    def one(slicing: str, name: str, sentences: int) -> Slice:
        return Slice(slicing, name, sentences, {})

    ours = [one("length", "a", 10), one("slice", "a", 10), one("slice", "b", 1), one("terms", "c", 0)]
    theirs = [one("terms", "a", 1), one("slice", "a", 3), one("length", "b", 2)]
    pair = EvaluationPair(
        replace(evaluation(), slices=ours, min_slice_size=10), replace(evaluation("old"), slices=theirs)
    )
    assert pair.slices("all") == [(ours[0], None), (ours[1], theirs[1])]
    assert pair.slices("slice") == [(ours[1], theirs[1])]
    assert pair.slices("terms") == []
    assert pair.all_slices == [(ours[0], None), (ours[1], theirs[1]), (ours[2], None), (ours[3], None)]
    alone = EvaluationPair(replace(evaluation(), slices=ours, min_slice_size=0), None)
    assert [found.name for found, champion in alone.slices("all") if champion is None] == ["a", "a", "b"]


def test_differences_are_the_challengers_less_the_champions(tmp_path: Path) -> None:
    pair = read_pair(measured(tmp_path / "a", "new", 30), measured(tmp_path / "b", "old", 3))
    assert pair.comparisons
    for name, compared in pair.comparisons.items():
        gain = pair.challenger.metrics[name].value - pair.champion_value(name).value
        assert compared.difference == pytest.approx(gain)
    assert pair.comparisons["bleu"].difference > 10
    assert pair.scores is not None
    champion, challenger = pair.scores
    assert len(champion) == len(challenger) == len(ROWS)
    assert challenger.mean() > champion.mean() + 10
    # The sentences with wrong words, by their number.
    assert [index for index, score in enumerate(challenger) if score < 50] == [0, 30]


def test_a_slice_is_compared_on_its_own_sentences(tmp_path: Path) -> None:
    pair = read_pair(measured(tmp_path / "a", "new", 30), measured(tmp_path / "b", "old", 3))
    compared = [(ours, theirs) for ours, theirs in pair.slices("length") if theirs is not None]
    assert compared
    for ours, theirs in compared:
        gain = ours.metrics["bleu"].value - theirs.metrics["bleu"].value
        assert pair.compare_slice("bleu", ours).difference == pytest.approx(gain)


def test_a_slice_is_compared_whatever_other_slices_the_champion_has(tmp_path: Path) -> None:
    terms = {"sources": ["source"]}
    challenger = measured(tmp_path / "a", "new", 30, terms={"sevens": ["7", "17"], **terms})
    pair = read_pair(challenger, measured(tmp_path / "b", "old", 3, terms=terms))
    (every,) = [ours for ours, _ in pair.slices("terms") if ours.name == "sources"]
    assert pair.compare_slice("bleu", every) == pair.comparisons["bleu"]


def test_only_metrics_measured_in_the_same_way_are_compared(tmp_path: Path) -> None:
    folders = measured(tmp_path / "a", "new", 6), measured(tmp_path / "b", "old", 3)
    before = read_pair(*folders).comparisons
    champion = read_evaluation(folders[1])
    metrics = dict(champion.metrics)
    metrics["bleu"] = replace(metrics["bleu"], signature="another")
    del metrics["ter"]
    write_evaluation(folders[1], replace(champion, metrics=metrics))
    assert set(before) - set(read_pair(*folders).comparisons) == {"bleu", "ter"}
    assert set(before) <= {metric.name for metric in counted("translation")}


def test_without_a_champion_there_is_nothing_to_compare(tmp_path: Path) -> None:
    pair = read_pair(measured(tmp_path / "a", "new", 6), absent(tmp_path / "b", "it does not load"))
    assert (pair.champion, pair.problem, pair.comparisons, pair.scores) == (None, "it does not load", {}, None)
    assert EvaluationPair(evaluation(), evaluation("old")).comparisons == {}


HUMAN = HumanEvaluation(
    "new", "old", "corpus", ["Ada"], 30, 18, 0, 12, {"human_preference": MetricValue(60.0, True, "s", 52.0, 68.0)}
)


def test_a_human_evaluation_of_these_two_models_gives_its_metrics() -> None:
    pair = EvaluationPair(evaluation(), evaluation("old")).with_human_evaluation(HUMAN)
    assert pair.challenger_value("human_preference") == HUMAN.metrics["human_preference"]
    assert pair.challenger_value("human_agreement") is None
    assert pair.human_problem == "the human evaluation has too few ratings for it"


@pytest.mark.parametrize("change", [{"challenger": "x"}, {"champion": "x"}, {"corpus": "x"}])
def test_a_human_evaluation_of_other_models_or_another_test_set_does_not_count(change: dict) -> None:
    pair = EvaluationPair(evaluation(), evaluation("old")).with_human_evaluation(replace(HUMAN, **change))
    assert pair.challenger_value("human_preference") is None
    assert pair.human_problem.startswith("the human evaluation given compares the models ")
    assert pair.human_problem.endswith(", not new and old on this test set")


def test_a_human_evaluation_without_a_champion_does_not_count() -> None:
    pair = EvaluationPair(evaluation(), None).with_human_evaluation(HUMAN)
    assert pair.human == {}
    assert pair.human_problem == "the human evaluation given compares with a champion, and there is no champion"


def test_a_metric_that_was_not_measured_is_named_with_those_that_were() -> None:
    empty = EvaluationPair(replace(evaluation(""), metrics={}), None)
    with pytest.raises(UserError, match=r"bleu, which the evaluation of the model does not have; it has no metrics:"):
        empty.challenger_value("bleu")
