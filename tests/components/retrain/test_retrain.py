"""Retrain: when an alarm starts a run, when it does not, and that it starts one only."""

import contextlib
import gzip
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqline.artifacts.monitoring import MONITORING, WINDOW, Monitoring, RuleState, Window
from seqline.artifacts.reference import REFERENCE
from seqline.artifacts.retraining import Attempt, Retraining
from seqline.components.retrain import stage
from seqline.components.retrain.new_pairs import count_rows
from seqline.components.retrain.options import Options
from seqline.components.retrain.stage import Attempts, retrain
from seqline.components.retrain.starters import starter_of
from seqline.errors import UserError
from tests.monitored import end_of, rate, reference

END = "2026-11-02T00:00:00+00:00"
ALARM = RuleState("rule", "key", "", 20.0, 9.0, 0.4, 0.2, END, new=True, then="retrain", reason="It is 0.4.")
RUN = "projects/p/locations/us-central1/pipelineJobs/one"


class Started:
    """A service that starts runs, whose first answers may be lost."""

    def __init__(self, lost: int = 0) -> None:
        self.names: list[str] = []
        self.lost = lost
        self.parameters: dict[str, Any] = {}
        self.running = False

    def start(self, attempt: Attempt, options: Options) -> Attempt:
        self.parameters = dict(options.parameters)
        if attempt.run not in self.names:
            self.names.append(attempt.run)
        if self.lost:
            self.lost -= 1
            raise UserError("the answer was lost")
        return replace(attempt, id="7")

    def where(self, attempt: Attempt) -> str:
        return ""

    def runs(self, attempt: Attempt) -> bool:
        return self.running and attempt.run in self.names

    def knows(self, attempt: Attempt) -> bool:
        return attempt.run in self.names


@pytest.fixture
def service() -> Started:
    return Started()


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """What collect and monitor wrote: an alarm, and a corpus of 4000 rows."""
    return write_artifacts(tmp_path)


def write_artifacts(tmp_path: Path) -> Path:
    window = Window(
        "demo", "2026-11-01T00:00:00+00:00", END, 24, "1", "f1", "2026-10-01T00:00:00+00:00",
        str(tmp_path / "samples"), str(tmp_path / "state"), 100,
    )  # fmt: skip
    (tmp_path / "window").mkdir()
    window.write(tmp_path / "window" / WINDOW)
    reference().write(tmp_path / "window" / REFERENCE)
    (tmp_path / "monitored").mkdir()
    Monitoring(window, rules=[ALARM]).write(tmp_path / "monitored" / MONITORING)
    (tmp_path / "pairs.tsv").write_text("a\tb\n" * 4150)
    return tmp_path


def start(
    artifacts: Path, service: Started, day: int = 1, end: str = "", owner: str = "", now: str = "", **options: Any
) -> Retraining:
    if end:
        content = Monitoring.read(artifacts / "monitored" / MONITORING)
        window = replace(content.window, end=end)
        window.write(artifacts / "window" / WINDOW)
        replace(content, window=window).write(artifacts / "monitored" / MONITORING)
    chosen = Options(**{"parameters": {"data": str(artifacts / "pairs.tsv")}, **options})
    paths = artifacts / "window", artifacts / "monitored", artifacts / "retraining"
    return retrain(*paths, address=owner, options=chosen, now=now or end_of(day), starter=service)


def test_an_alarm_starts_one_run_with_its_reason(artifacts: Path, service: Started) -> None:
    made = start(artifacts, service)
    assert made.started
    assert service.names == [made.run]
    assert made.reason == f"Monitoring of demo, 2026-11-01T00:00:00+00:00 to {END}: It is 0.4."
    assert made.new_pairs == 150
    assert Retraining.read(artifacts / "retraining" / "retraining.json") == made
    (attempt,) = Attempts(str(artifacts / "state")).read()
    assert (attempt.run, attempt.id, attempt.reason) == (made.run, "7", made.reason)


def test_the_same_window_again_starts_no_second_run(artifacts: Path, service: Started) -> None:
    first, again = start(artifacts, service), start(artifacts, service, day=2)
    assert service.names == [first.run] == [again.run]
    assert again.outcome == f"The run {first.run} was already started for this window."


def test_a_lost_answer_starts_no_second_run(artifacts: Path) -> None:
    service = Started(lost=1)
    with pytest.raises(UserError, match="lost"):
        start(artifacts, service)
    made = start(artifacts, service)
    assert made.started
    assert service.names == [made.run]


def test_a_start_that_failed_delays_the_next_by_ten_minutes_only(artifacts: Path, service: Started) -> None:
    dead = Started()
    dead.start = lambda *_: (_ for _ in ()).throw(UserError("permission denied"))  # type: ignore[method-assign]
    with pytest.raises(UserError, match="permission denied"):
        start(artifacts, dead, owner="first", now="2026-11-02T00:07:00+00:00")
    again: dict[str, Any] = {"owner": "second", "end": "2026-11-03T00:00:00+00:00", "monthly_budget": 1}
    early = start(artifacts, service, now="2026-11-02T00:10:00+00:00", **again)
    assert early.outcome.startswith("No run was started: another run of monitoring is starting the retraining run ")
    made = start(artifacts, service, now="2026-11-03T00:07:00+00:00", **again)
    assert made.started
    assert service.names == [made.run]
    # The first one, repeated, leaves it to the second.
    late = start(artifacts, service, owner="first", end=END, now="2026-11-03T00:08:00+00:00")
    assert late.outcome == f"No run was started for this window: a later one has the retraining run {made.run}."
    assert service.names == [made.run]


def test_a_start_whose_answer_was_lost_counts(artifacts: Path) -> None:
    service = Started(lost=1)
    with pytest.raises(UserError, match="lost"):
        start(artifacts, service)
    made = start(artifacts, service, day=2, end="2026-11-03T00:00:00+00:00")
    assert "less than 7 days (cooling_days) ago" in made.outcome


def test_after_the_state_was_deleted_a_later_window_starts_a_run(artifacts: Path, tmp_path: Path) -> None:
    """A laptop's log of the earlier run is still there, as the job is on Vertex AI."""
    service = Started()
    first = start(artifacts, service)
    shutil.rmtree(artifacts / "state")
    second = start(artifacts, service, day=9, end="2026-11-10T00:00:00+00:00")
    assert second.started
    assert service.names == [first.run, second.run]
    assert second.run.islower()


class Unnamed(Started):
    """A service such as Kubeflow, on which several runs may have one name: another run may come between."""

    def __init__(self, between: Callable[[], Any] = lambda: None) -> None:
        super().__init__()
        self.between = between

    def start(self, attempt: Attempt, options: Options) -> Attempt:
        between, self.between = self.between, lambda: None
        known = attempt.run in self.names
        between()
        if not known:
            self.names.append(attempt.run)
        return replace(attempt, id="7")


def test_of_two_runs_of_monitoring_within_a_second_one_starts_the_run(artifacts: Path) -> None:
    others: list[Retraining] = []
    service = Unnamed(lambda: others.append(start(artifacts, service, owner="second")))
    first = start(artifacts, service, owner="first")
    assert first.started
    assert service.names == [first.run]
    (second,) = others
    assert not second.started
    assert second.outcome == f"Another run of monitoring is starting the run {first.run} for this window."
    assert (
        start(artifacts, service, owner="third").outcome == f"The run {first.run} was already started for this window."
    )


@pytest.mark.parametrize("end", ["", "2026-11-02T01:00:00+00:00"], ids=["one window", "at the turn of the hour"])
def test_a_run_that_is_overtaken_before_it_writes_starts_nothing(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    service = Unnamed()
    service.running = True
    counts, overtaking = stage.count_new_pairs, [lambda: start(artifacts, service, owner="second", end=end)]

    def count(*given: Any) -> int:
        if overtaking:
            overtaking.pop()()
        return counts(*given)

    monkeypatch.setattr(stage, "count_new_pairs", count)
    made = start(artifacts, service, owner="first", cooling_days=0)
    (run,) = service.names
    (attempt,) = Attempts(str(artifacts / "state")).read()
    assert (attempt.run, attempt.owner) == (run, "second")
    expected = f"No run was started: the retraining run {run} is still running."
    assert made.outcome == (expected if end else f"The run {run} was already started for this window.")


def test_a_run_of_another_window_that_is_being_started_counts_as_running(artifacts: Path) -> None:
    others: list[Retraining] = []
    later = "2026-11-02T01:00:00+00:00"
    service = Unnamed(lambda: others.append(start(artifacts, service, owner="second", end=later, cooling_days=0)))
    first = start(artifacts, service, owner="first")
    assert service.names == [first.run]
    assert others[0].outcome == (
        f"No run was started: another run of monitoring is starting the retraining run {first.run}."
    )


def test_a_run_of_monitoring_that_died_is_taken_over_once_it_had_the_time(artifacts: Path) -> None:
    dead = Started(lost=1)
    dead.start = lambda *_: (_ for _ in ()).throw(UserError("killed"))  # type: ignore[method-assign]
    with pytest.raises(UserError, match="killed"):
        start(artifacts, dead, owner="first", now="2026-11-02T00:07:00+00:00")
    service = Unnamed()
    soon = start(artifacts, service, owner="second", now="2026-11-02T00:16:59+00:00")
    assert not soon.started
    assert service.names == []
    others: list[Retraining] = []
    service.between = lambda: others.append(start(artifacts, service, owner="third", now="2026-11-02T00:17:01+00:00"))
    made = start(artifacts, service, owner="second", now="2026-11-02T00:17:00+00:00")
    assert made.started
    assert not others[0].started
    assert service.names == [made.run]
    # The first one, which only seemed dead, leaves it to the second.
    assert start(artifacts, service, owner="first", now="2026-11-02T00:18:00+00:00").run == made.run
    assert service.names == [made.run]


@dataclass(frozen=True)
class Call:
    """A run of monitoring.

    Attributes:
        owner: Which one; several calls of one are attempts of its task.
        minutes: After the call before.
        dies: Whether it ends before it has started the run, after it, or not at all.
        between: Calls that come between, when it counts pairs and when it has looked the run up.
        hour: Of the end of its window.
    """

    owner: str
    minutes: int
    dies: Literal["", "before", "after"] = ""
    between: tuple[tuple["Call", ...], tuple["Call", ...]] = ((), ())
    hour: int = 0


def calls(depth: int = 2) -> st.SearchStrategy[tuple[Call, ...]]:
    inner = calls(depth - 1) if depth else st.just(())
    # What comes between takes less than the time in which a run of monitoring starts a retraining.
    minutes = st.integers(0, 30) if depth == 2 else st.integers(0, 1)
    dies = st.sampled_from(["", "", "before", "after"])
    one = st.builds(Call, st.sampled_from("abc"), minutes, dies, st.tuples(inner, inner), st.integers(0, 1))
    return st.lists(one, max_size=3).map(tuple)


@settings(max_examples=40)
@given(calls())
def test_however_runs_of_monitoring_overlap_or_die_one_run_is_started(plan: tuple[Call, ...]) -> None:
    started: list[str] = []
    stack: list[tuple[Call, str]] = []
    minute = 0

    class Service(Started):
        def start(self, attempt: Attempt, options: Options) -> Attempt:
            call = stack[-1][0]
            known = attempt.run in started
            if call.dies == "before":
                raise UserError("killed")
            run(call.between[1])
            if not known:
                started.append(attempt.run)
            if call.dies == "after":
                raise UserError("killed")
            return replace(attempt, id="7")

        def runs(self, attempt: Attempt) -> bool:
            return attempt.run in started

        knows = runs

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        write_artifacts(Path(folder))
        count = stage.count_new_pairs

        def counted(*given: Any) -> int:
            run(stack[-1][0].between[0])
            return count(*given)

        patch.setattr(stage, "count_new_pairs", counted)

        def run(some: tuple[Call, ...]) -> None:
            nonlocal minute
            for call in some:
                minute += call.minutes
                if any(call.owner == other for _, other in stack):
                    continue  # one attempt of a task at a time
                stack.append((call, call.owner))
                now = f"{datetime(2026, 11, 2, tzinfo=timezone.utc) + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%S%z}"
                made = None
                with contextlib.suppress(UserError):
                    end = f"2026-11-02T{call.hour:02}:00:00+00:00"
                    made = start(Path(folder), Service(), owner=call.owner, end=end, now=now)
                stack.pop()
                assert made is None or not made.started or started

        run(plan)
    assert len(started) <= 1


def test_a_retry_of_the_same_task_waits_for_nobody(artifacts: Path) -> None:
    service = Started(lost=1)
    with pytest.raises(UserError, match="lost"):
        start(artifacts, service, owner="first")
    assert start(artifacts, service, owner="first").started
    assert len(service.names) == 1


@pytest.mark.parametrize(
    ("options", "days", "outcome"),
    [
        ({"cooling_days": 7.0}, 5, "was started at 2026-11-03T00:07:00+00:00, less than 7 days (cooling_days) ago."),
        (
            {"cooling_days": 0, "monthly_budget": 1},
            5,
            "1 retraining runs were started in the last 30 days, and monthly",
        ),
        (
            {"cooling_days": 3, "min_new_pairs": 151},
            5,
            "150 new pairs since the training of version 1, fewer than min_new",
        ),
        ({"cooling_days": 3}, 5, "was started."),
        ({"cooling_days": 3, "monthly_budget": 1}, 40, "was started."),
    ],
)
def test_a_second_run_waits_for_its_time_its_budget_and_new_pairs(
    artifacts: Path, service: Started, options: dict[str, Any], days: int, outcome: str
) -> None:
    start(artifacts, service)
    made = start(artifacts, service, day=1 + days, end="2026-11-07T00:00:00+00:00", **options)
    assert outcome in made.outcome
    assert len(service.names) == 1 + made.started == 1 + (outcome == "was started.")


def test_never_two_run_at_once(artifacts: Path, service: Started) -> None:
    first = start(artifacts, service)
    service.running = True
    made = start(artifacts, service, day=20, end="2026-11-21T00:00:00+00:00")
    assert made.outcome == f"No run was started: the retraining run {first.run} is still running."
    assert service.names == [first.run]


def test_corrections_are_new_pairs_too(artifacts: Path, service: Started) -> None:
    window = Window.read(artifacts / "window" / WINDOW)
    replace(window, created="2026-11-01T00:30:00+00:00").write(artifacts / "window" / WINDOW)
    rate(artifacts, 0, [0.0] * 20, correction="better")
    rate(artifacts, -1, [0.0] * 5, correction="before the version was live")
    made = start(artifacts, service)
    assert made.new_pairs == 170
    # They have no texts, and so are no pairs for the run.
    assert service.parameters == {"data": str(artifacts / "pairs.tsv"), "endpoint": "demo"}


def test_the_run_learns_from_corrections_and_goes_live_where_its_alarm_is_from(
    artifacts: Path, service: Started
) -> None:
    rate(artifacts, 0, [0.0], correction="Der Hund.", source="The dog.")
    made = start(artifacts, service)
    file = artifacts / "state" / "feedback" / f"{made.run}.jsonl"
    assert service.parameters == {"data": str(artifacts / "pairs.tsv"), "endpoint": "demo", "feedback": str(file)}
    (pair,) = map(json.loads, file.read_text().splitlines())
    assert (pair["source"], pair["target"]) == ("The dog.", "Der Hund.")
    own = {"data": str(artifacts / "pairs.tsv"), "endpoint": "", "feedback": "mine.jsonl"}
    start(artifacts, service, day=2, end="2026-11-03T00:00:00+00:00", parameters=own, cooling_days=0)
    assert service.parameters == own


def test_without_an_alarm_that_asks_for_it_nothing_is_started(artifacts: Path, service: Started) -> None:
    found = Monitoring.read(artifacts / "monitored" / MONITORING)
    replace(found, rules=[replace(ALARM, then="notify")]).write(artifacts / "monitored" / MONITORING)
    assert start(artifacts, service).outcome == "No alarm requires retraining."
    assert service.names == []


def test_data_that_cannot_be_read_is_named_and_starts_nothing(artifacts: Path, service: Started) -> None:
    with pytest.raises(UserError, match=r"data: no such file: .*/none.tsv; check the path"):
        start(artifacts, service, parameters={"data": str(artifacts / "none.tsv")})
    (artifacts / "broken.tsv.gz").write_bytes(gzip.compress(b"a\tb\n" * 5000)[:30])
    with pytest.raises(UserError, match=r"data: .*/broken.tsv.gz cannot be read"):
        start(artifacts, service, parameters={"data": str(artifacts / "broken.tsv.gz")})
    assert service.names == []


def test_rows_are_counted_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\nc\td")
    (tmp_path / "b.csv").write_text('source,target\n"a\nb",c\n')
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(b"{}\n{}\n{}\n"))
    assert [count_rows(str(tmp_path / name), "data") for name in ("a.tsv", "b.csv", "c.jsonl.gz")] == [2, 1, 3]
    assert count_rows("", "valid_data") == 0


@pytest.mark.parametrize(
    ("template", "run", "address", "message"),
    [
        ("", RUN, "gs://b/root", "which `seqline upload --pipeline training --target vertex` prints"),
        ("kfp://a/b", RUN, "gs://b/root", "which `seqline upload --pipeline training --target vertex` prints"),
        ("", "one", "minio://b/root", "which `seqline upload --pipeline training --target kubeflow` prints"),
        (
            "kfp://a/b",
            "one",
            "/home/me/.seqline/runs/one/retrain/retraining",
            "this run is on a laptop; leave it empty",
        ),
        ("", "one", "/home/me/other", "is not in a folder of runs: set retraining.home"),
    ],
)
def test_a_template_of_another_target_is_refused(template: str, run: str, address: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        starter_of(Options(template=template), run, "http://127.0.0.1:9", address)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "https://europe-west4-kfp.pkg.dev/p/r/seqline-training/latest"}, "template has the wrong form"),
        ({"parameters": {"reason": "mine"}}, "monitoring sets reason: omit it"),
    ],
)
def test_options_that_could_start_something_else_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Options(**options)
