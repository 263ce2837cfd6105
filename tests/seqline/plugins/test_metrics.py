"""A metric of a plugin is like a built-in one: in reports, slices, the gate and tests of significance."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.evaluation import read_evaluation
from seqline.components.bless.options import Options as Gate
from seqline.components.bless.stage import bless
from seqline.components.evaluate.options import Options
from seqline.components.snapshot.added import with_plugins
from seqline.errors import UserError
from seqline.metrics.metrics import METRICS as BUILT_IN
from seqline.metrics.metrics import Labels
from seqline.metrics.resampling import bootstrap, compare
from seqline.plugins.registry import METRICS
from seqline.schema.sections import resolve
from tests.components.bless.evaluations import decide, measured
from tests.plugin_packages import forget, installed, write_package

MEAN = """
from seqline.plugins import metric

@metric("kept", label="Words kept, %", higher_is_better=True, tasks=("translation",))
def kept(references, outputs, language):
    pairs = zip(references, outputs)
    return [100 * len(set(one.split()) & set(other.split())) / len(one.split()) for one, other in pairs]
"""
SUMS = """
import numpy as np
from seqline.plugins import metric

@metric("kept", label="Words kept, %", higher_is_better=True, tasks=("translation",))
class Kept:
    columns = 2
    signature = "words kept"

    def __init__(self, language):
        self.language = language

    def count(self, batch):
        pairs = zip(batch.references, batch.outputs)
        return [(len(set(one.split()) & set(other.split())), len(one.split())) for one, other in pairs]

    def score(self, sums):
        return 100 * sums[:, 0] / np.maximum(sums[:, 1], 1)
"""


@pytest.fixture(autouse=True)
def few_draws_of_few_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqline.components.bless.evaluation_pair.compare", partial(compare, resamples=200, trials=200))
    monkeypatch.setattr("seqline.metrics.statistics.bootstrap", partial(bootstrap, resamples=100))
    monkeypatch.setattr("seqline.metrics.statistics.counted", lambda task: [BUILT_IN["chrf"]])
    monkeypatch.setattr("seqline.components.bless.report.HEADLINES", {"translation": "chrf"})
    monkeypatch.setattr("seqline.components.bless.anchor.HEADLINES", {"translation": "chrf"})


@pytest.fixture(params=["mean"])
def package(request: Any, tmp_path: Path) -> Iterator[Path]:
    code, name = (MEAN, "kept") if request.param == "mean" else (SUMS, "Kept")
    write_package(tmp_path / "site", "my-metrics", "1.2", code, {"metrics:kept": name})
    with installed(tmp_path / "site"):
        yield tmp_path / "site"


@pytest.mark.parametrize("package", ["mean", "sums"], indirect=True)
def test_it_has_a_value_an_interval_and_slices(package: Path, tmp_path: Path) -> None:
    found = read_evaluation(measured(tmp_path / "a", "new", 3, added=["kept"]))
    value = found.metrics["kept"]
    assert 50 < value.value < 80
    assert value.low is not None
    assert value.low < value.value < (value.high or 0)
    assert value.signature.endswith("|my-metrics==1.2")
    assert all("kept" in one.metrics for one in found.slices)
    assert "kept" not in read_evaluation(measured(tmp_path / "b", "new", 3)).metrics


@pytest.mark.parametrize(
    ("wrong", "rule", "blessed", "reason"),
    [
        (30, {"minimum": 90}, True, "Words kept, %: 9"),
        (2, {"minimum": 90}, False, "misses the limit of at least 90"),
        (30, {"gain": 5, "significance": 0.05}, True, ", significant"),
        (3, {"margin": 1, "confident": True}, True, "equals the champion's"),
        (2, {"margin": 1, "slices": "length", "significance": 0.5}, False, "characters)"),
        (2, {"minimum": 60, "slices": "length", "confident": True}, False, "with 95% confidence at least"),
    ],
)
def test_the_gate_checks_it(
    package: Path, tmp_path: Path, wrong: int, rule: dict[str, Any], blessed: bool, reason: str
) -> None:
    ours = measured(tmp_path / "ours", "new", wrong, added=["kept"])
    theirs = measured(tmp_path / "theirs", "old", 3, added=["kept"])
    made = decide(ours, theirs, [{"metric": "kept", **rule}])
    assert made.blessed is blessed
    assert reason in made.rules[0].reason
    assert "kept" in made.comparisons
    assert "Words kept, %" in (tmp_path / "report.html").read_text()


def test_a_report_shows_the_name_where_the_plugin_is_missing() -> None:
    assert (Labels()["bleu"], Labels()["kept"]) == ("BLEU", "kept")


def test_the_gate_refuses_a_rule_whose_plugin_is_missing(package: Path, tmp_path: Path) -> None:
    measured(tmp_path / "ours", "new", 3, added=["kept"])
    (package / "my_metrics-1.2.dist-info" / "entry_points.txt").unlink()
    forget()
    with pytest.raises(UserError, match=r"no metric 'kept'.*images build --with PACKAGE"):
        bless(tmp_path / "ours", tmp_path / "ours", tmp_path / "d", tmp_path / "r", options=Gate(gate=[
            {"metric": "kept", "minimum": 1}
        ]))  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [1.0]", r"'kept' must return a number for each sentence, shape \(60,\), not shape \(1,\)"),
        ("return ['a'] * len(outputs)", "'kept' must return a number for each sentence, not str"),
        ("return ['1.5'] * len(outputs)", "'kept' must return a number for each sentence, not str"),
        ("return [None] * len(outputs)", "'kept' must return a number for each sentence, not NoneType"),
        ("return [1.0, None] * (len(outputs) // 2)", "for each sentence, not NoneType and float"),
        ("return [1j] * len(outputs)", "for each sentence, not complex"),
        ("return (1.0 for _ in outputs)", "for each sentence, not generator"),
        ("return 0.5", "for each sentence, not float"),
        ("return None", "for each sentence, not NoneType"),
        ("return {'a': 1.0}", "'kept' must return a number for each sentence"),
        ("return [[1.0], [1.0, 2.0]]", "'kept' must return a number for each sentence"),
        ("return [float('nan')] * len(outputs)", "'kept' returned nan for the output '.*': it must return a finite"),
        ("return [1.0] * (len(outputs) - 1) + [float('inf')]", "'kept' returned inf for the output"),
        ("raise SystemExit(1)", "'kept' fails: SystemExit: 1"),
        ("return 1 / 0", "'kept' fails: ZeroDivisionError: division by zero"),
    ],
)
def test_what_a_function_returns_is_checked(tmp_path: Path, body: str, message: str) -> None:
    code = f"from seqline.plugins import metric\n@metric('kept', higher_is_better=True)\ndef kept(outputs):\n  {body}\n"
    write_package(tmp_path / "site", "my-metrics", "1", code, {"metrics:kept": "kept"})
    with installed(tmp_path / "site"), pytest.raises(UserError, match=message):
        measured(tmp_path / "a", "new", 3, added=["kept"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return [(len(", "return [(float('nan'), 1) for _ in batch.outputs] or [(len(", "'kept' returned nan for"),
        ("columns = 2", "columns = 3", r"counts of shape \(sentences, columns\), shape \(60, 3\), not shape"),
        ("columns = 2", "columns = '2'", "its class needs columns, a number of at least 1"),
        ("100 * sums[:, 0] / np.maximum(sums[:, 1], 1)", "3.0", "must return a value for each row of sums, not float"),
        (
            "100 * sums[:, 0]",
            "np.nan * sums[:, 0]",
            r"'kept' returned nan for the sums \[.*\]: it must",
        ),
    ],
)
def test_what_a_class_returns_is_checked(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SUMS
    write_package(tmp_path / "site", "my-metrics", "1", SUMS.replace(old, new), {"metrics:kept": "Kept"})
    with installed(tmp_path / "site"), pytest.raises(UserError, match=message):
        measured(tmp_path / "a", "new", 3, added=["kept"])


def test_evaluate_takes_metrics_of_its_task_only(package: Path) -> None:
    assert Options(metrics=["kept"]).metrics == ["kept"]
    with pytest.raises(UserError, match="kept is not available for task summarization"):
        Options(metrics=["kept"], task="summarization")
    with pytest.raises(UserError, match="no metric 'kpt'; did you mean 'kept'"):
        Options(metrics=["kpt"])
    with pytest.raises(UserError, match="kept is not available for task text_generation"):
        Gate(gate=[{"metric": "kept", "minimum": 1}], task="text_generation")


@pytest.mark.parametrize("sections", [
    {"evaluation": {"metrics": ["kept"]}, "gate": []},
    {"evaluation": {}, "gate": [{"metric": "kept", "minimum": 1}]},
])  # fmt: skip
def test_snapshot_adds_the_fingerprint_where_the_metric_is_used(package: Path, sections: dict[str, Any]) -> None:
    before = resolve({}, {**sections, "training": {}, "corpus": {}})
    found = with_plugins(before)
    assert found["evaluation"].model_dump()["metrics"] == ["kept"]
    assert found["evaluation"].model_dump()["plugins"] == {"kept": METRICS.fingerprint("kept")}
    assert all(found[name] == before[name] for name in ("corpus", "training"))


def test_a_run_without_plugins_has_the_options_that_it_had(package: Path) -> None:
    found = with_plugins(resolve({}, {"evaluation": {}, "gate": [{"metric": "bleu", "minimum": 1}]}))
    assert found["evaluation"].changed() == {}
