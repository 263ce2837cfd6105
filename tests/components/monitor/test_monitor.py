"""Monitor: figures of a window, evidence from window to window, and alarms."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from seqline.artifacts.monitoring import Monitoring, RuleState
from seqline.components.collect.stage import collect
from seqline.components.monitor import stage as monitor_stage
from seqline.components.monitor.options import Options
from seqline.components.monitor.stage import monitor
from seqline.errors import UserError
from tests.monitored import HOUR, START, contents, end_of, endpoint, log, rate, reference, texts

UNLIKE = 30
TOKENS = {"figure": "token_distance", "against": "training", "above": 0.2, "then": "retrain"}


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return endpoint(tmp_path, reference())


@pytest.fixture(autouse=True)
def _without_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here looks at the page, which takes longer than all else."""
    monkeypatch.setattr("seqline.components.monitor.stage.write_report", lambda *_: None)


def watch(live: Path, day: int, rules: Sequence[dict[str, Any]] = (TOKENS,), name: str = "", **more: Any) -> Monitoring:
    """Monitors the window of a day."""
    folder = live.parent / f"{day}{name}"
    collect(str(live), folder / "window", now=end_of(day))
    options = Options(rules=list(rules), **more)
    return monitor(folder / "window", folder / "monitoring", folder / "report.html", options)


def only(found: Monitoring) -> RuleState:
    (one,) = found.rules
    return one


def test_usual_traffic_raises_no_alarm_by_any_default_rule(live: Path) -> None:
    for day in range(3):
        log(live, day, texts(300, seed=10 + day))
        found = watch(live, day, rules=())
        assert found.alarms == []
        assert found.headline() == "300 requests of version 1, no alarm."
    by_name = {one.figure: one for one in found.figures}
    assert by_name["token_distance"].value < 0.1
    assert by_name["other_language"].training == pytest.approx(0.02)
    assert all(one.low <= one.value <= one.high for one in found.figures)


def test_a_change_is_an_alarm_once_and_then_stands_until_it_is_over(live: Path) -> None:
    log(live, 0, texts(300, seed=1))
    assert not watch(live, 0).retrains
    log(live, 1, texts(300, seed=2, first=UNLIKE))
    first = watch(live, 1)
    assert (first.retrains, only(first).new, only(first).since) == (True, True, first.window.end)
    assert first.headline().startswith("Distance of the token frequencies is 0.7")
    assert first.headline().endswith("from training, proven to be above 0.2.")
    log(live, 2, texts(300, seed=3, first=UNLIKE))
    second = watch(live, 2)
    assert (second.retrains, only(second).new, only(second).since) == (True, False, first.window.end)
    assert second.headline() == "1 earlier alarm is still active."
    log(live, 3, texts(3000, seed=4))
    assert watch(live, 3).alarms == []


def test_an_alarm_of_small_windows_ends_after_three_calm_ones(live: Path) -> None:
    log(live, 0, texts(300, seed=1, first=UNLIKE))
    assert watch(live, 0).retrains
    for day in (1, 2):
        log(live, day, texts(300, seed=1 + day))
        assert watch(live, day).headline() == "1 earlier alarm is still active."
    log(live, 3, texts(300, seed=4))
    assert watch(live, 3).alarms == []


def test_a_change_among_calm_windows_keeps_the_alarm(live: Path) -> None:
    for day, first in enumerate((UNLIKE, 0, 0, UNLIKE, 0, 0)):
        log(live, day, texts(300, seed=1 + day, first=first))
        assert len(watch(live, day).alarms) == 1


def test_small_windows_add_up_and_one_alone_proves_nothing(live: Path) -> None:
    days = 0
    for days in range(20):
        log(live, days, texts(12, seed=days, first=UNLIKE))
        if watch(live, days).alarms:
            break
    assert 1 <= days < 19


def test_short_windows_need_more_evidence_because_there_are_more_in_a_year(live: Path) -> None:
    log(live, 0, texts(24, seed=1))
    day = only(watch(live, 0)).required
    folder = live.parent / "hour"
    collect(str(live), folder / "window", now=(START + 25 * HOUR + 10 * HOUR / 60).isoformat())
    found = monitor(folder / "window", folder / "monitoring", folder / "report.html", Options(rules=[TOKENS]))
    assert only(found).required == pytest.approx(day + math.log(24))


def test_the_same_window_again_changes_nothing(live: Path) -> None:
    log(live, 0, texts(200, seed=1, first=UNLIKE))
    first = watch(live, 0)
    state = contents(live / "samples" / "monitoring")
    again = watch(live, 0, name="again")
    assert again.rules == first.rules
    assert contents(live / "samples" / "monitoring") == state


@pytest.mark.parametrize("later_first", [False, True])
def test_two_runs_within_a_second_at_the_turn_of_the_hour_leave_each_window_its_state(
    live: Path, later_first: bool
) -> None:
    log(live, 0, texts(300, seed=1))
    watch(live, 0)
    log(live, 1, texts(300, seed=2, first=UNLIKE))
    # A window ends at the last full hour that is five minutes ago.
    moments = ["2026-11-03T00:04:59+00:00", "2026-11-03T00:05:00+00:00"]
    folders = [live.parent / moment for moment in moments]
    for folder, moment in zip(folders, moments, strict=True):
        collect(str(live), folder / "window", now=moment)
    options = Options(rules=[TOKENS])
    for folder in reversed(folders) if later_first else folders:
        monitor(folder / "window", folder / "monitoring", folder / "report.html", options)
    windows = live / "samples" / "monitoring" / "windows"
    states = {path.name: json.loads(path.read_text()) for path in windows.iterdir()}
    assert sorted(states) == ["20261102T000000Z.json", "20261102T230000Z.json", "20261103T000000Z.json"]
    # Both begin where the first window ended, so the next one continues the longer of them, and nothing counts twice.
    assert {one["start"] for name, one in states.items() if name > "20261102T1"} == {"2026-11-02T00:00:00+00:00"}
    following = collect(str(live), live.parent / "next", now=end_of(2))
    assert (following.start, following.end) == ("2026-11-03T00:00:00+00:00", "2026-11-04T00:00:00+00:00")


def test_two_runs_of_a_window_at_a_time_leave_one_state(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(live, 0, texts(300, seed=1, first=UNLIKE))
    windows = live / "samples" / "monitoring" / "windows"
    written: list[Any] = []

    def overtaken(*given: Any) -> Any:
        """Before the first run writes its state, a second one does everything, and has found more requests."""
        if not written:
            written.append(None)
            log(live, 0, texts(5, seed=2), latency_ms=1.0)
            watch(live, 0, name="second")
            written.extend(path.read_text() for path in windows.iterdir())
        return given

    monkeypatch.setattr(monitor_stage, "write_report", overtaken)
    found = watch(live, 0)
    assert found.retrains
    assert [path.read_text() for path in windows.iterdir()] == written[1:]


def test_a_window_without_requests_is_said_and_is_no_alarm(live: Path) -> None:
    log(live, 0, texts(100, seed=1, first=UNLIKE))
    alarmed = watch(live, 0)
    found = watch(live, 1, rules=[TOKENS])
    assert found.headline().startswith("No requests of version 1 from 2026-11-02T00:00:00+00:00 to ")
    assert only(found).evidence == pytest.approx(only(alarmed).evidence)
    assert found.figures == []
    empty = watch(live, 2, rules=[{"figure": "empty", "above": 0.02}, {"figure": "rating", "below": 0.0}])
    assert [one.since for one in empty.rules] == ["", ""]


def test_another_live_version_begins_anew(live: Path) -> None:
    log(live, 0, texts(200, seed=1, first=UNLIKE))
    assert watch(live, 0).alarms
    endpoint(live.parent, reference("u" * 64), version=2)
    log(live, 1, texts(50, seed=2), version="2")
    found = watch(live, 1)
    assert found.alarms == []
    assert "version 2 became live since the last window: the evidence starts over" in found.notes


def test_without_training_figures_nothing_is_compared_with_training(tmp_path: Path) -> None:
    live = endpoint(tmp_path, None)
    for day, first in enumerate((0, UNLIKE)):
        log(live, day, texts(400, seed=day, first=first))
        found = watch(live, day, rules=[TOKENS, {**TOKENS, "against": "previous", "then": "notify"}])
    training, previous = found.rules
    assert (training.value, training.since) == (None, "")
    assert training.reason == "Distance of the token frequencies: there is nothing to compare."
    assert previous.new
    assert "from the previous window, proven to be above 0.2" in previous.reason
    assert not found.retrains


def test_statistics_with_other_buckets_are_refused(tmp_path: Path) -> None:
    small = reference()
    sources = dataclasses.replace(small.sources, tokens=small.sources.tokens[:512])
    live = endpoint(tmp_path, dataclasses.replace(small, sources=sources))
    log(live, 0, texts(50, seed=1))
    with pytest.raises(UserError, match="the training figures have 512 token buckets, and the requests 1024"):
        watch(live, 0)
    assert not (live / "samples" / "monitoring").exists()


@pytest.mark.parametrize(
    ("rule", "usual", "changed"),
    [
        ({"figure": "empty", "above": 0.05}, {}, {"empty": True}),
        ({"figure": "truncated", "above": 0.05}, {}, {"truncated": True}),
        ({"figure": "copied", "against": "previous", "above": 0.2}, {}, {"copied": True}),
        ({"figure": "score", "against": "previous", "below": -0.1}, {"score": -0.1}, {"score": -3.0}),
        ({"figure": "score", "below": 0.3}, {"score": -0.1}, {"score": -3.0}),
        ({"figure": "unknown_share", "against": "training", "above": 0.1}, {}, {"unknown_tokens": 3}),
        ({"figure": "other_script", "against": "training", "above": 0.05}, {}, {"script": "Cyrillic"}),
        ({"figure": "other_language", "against": "training", "above": 0.05}, {}, {"language": "fr"}),
        ({"figure": "latency_p95", "above": 100}, {}, {"latency_ms": 900.0}),
        ({"figure": "length_distance", "against": "previous", "above": 0.3}, {}, {"source_tokens": 80}),
        ({"figure": "output_length_distance", "against": "training", "above": 0.4}, {}, {"output_tokens": 80}),
    ],
    ids=lambda value: value.get("figure", "") if isinstance(value, dict) else "",
)
def test_each_figure_has_its_alarm_and_none_without_its_change(
    live: Path, rule: dict[str, Any], usual: dict[str, Any], changed: dict[str, Any]
) -> None:
    for day in range(3):
        log(live, day, texts(300, seed=day), **(changed if day == 2 else usual))
    found = [watch(live, day, rules=[rule]).rules[0].new for day in range(3)]
    assert found == [False, False, True]


def test_ratings_and_texts_unlike_training_have_alarms_too(live: Path) -> None:
    rules = [{"figure": "rating", "below": -0.2}, {"figure": "unusual_texts", "against": "training", "above": 0.05}]
    log(live, 0, texts(200, seed=1))
    rate(live, 0, [1.0, -1.0] * 50)
    assert watch(live, 0, rules=rules).alarms == []
    log(live, 1, [*texts(150, seed=2), *texts(50, seed=3, first=200)])
    rate(live, 1, [-1.0] * 60)
    assert [one.new for one in watch(live, 1, rules=rules).rules] == [True, True]


def test_a_slice_is_compared_by_itself(live: Path) -> None:
    for day in range(2):
        log(live, day, texts(400, seed=day), slice="chat")
        log(live, day, texts(200, seed=50 + day, first=UNLIKE), slice="mail")
        log(live, day, texts(5, seed=90 + day, first=UNLIKE), slice="few")
    found = watch(live, 0)
    assert [(one.slice, bool(one.since)) for one in found.rules] == [("", False), ("chat", False), ("mail", True)]
    assert "of slice mail" in found.rules[2].reason
    # A day on which a slice has too few requests does not lose its alarm.
    log(live, 2, texts(400, seed=7), slice="chat")
    watch(live, 1), watch(live, 2)
    log(live, 3, texts(200, seed=8, first=UNLIKE), slice="mail")
    mail = next(one for one in watch(live, 3).rules if one.slice == "mail")
    assert (mail.new, mail.since) == (False, found.window.end)


def test_a_window_that_was_cut_short_is_refused(live: Path) -> None:
    log(live, 0, texts(50, seed=1))
    folder = live.parent / "0"
    collect(str(live), folder / "window", now=end_of(0))
    file = folder / "window" / "requests.parquet"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=r"requests.parquet is missing or truncated .*; run collect again"):
        monitor(folder / "window", folder / "monitoring", folder / "report.html")


def test_a_state_that_was_cut_short_is_refused_and_named(live: Path) -> None:
    log(live, 0, texts(50, seed=1))
    watch(live, 0)
    (file,) = (live / "samples/monitoring/windows").iterdir()
    file.write_text(file.read_text()[:50])
    log(live, 1, texts(50, seed=2))
    with pytest.raises(UserError, match=r"20261102T000000Z.json is not a JSON object; delete the folder to start"):
        watch(live, 1)
