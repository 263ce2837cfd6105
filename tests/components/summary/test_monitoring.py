"""The summary of a run of monitoring, and of a run that monitoring started."""

from pathlib import Path

import pytest

from seqline.artifacts.monitoring import MONITORING, Monitoring, RuleState, Window
from seqline.artifacts.retraining import FILE as RETRAINING
from seqline.artifacts.retraining import Retraining
from seqline.artifacts.run_summary import MonitoringSummary, Summary
from seqline.components.summary import notify as module
from seqline.components.summary.notify import notify
from seqline.components.summary.options import NotificationOptions
from seqline.components.summary.stage import summarize

RUN = "seqline-monitoring-1"
WINDOW = Window("demo", "2026-11-01", "2026-11-02", 24, "3", "f3", "", "log", "state", 1200)
ALARM = RuleState("rule", "key", "", 20.0, 9.0, 0.4, 0.2, "2026-11-02", new=True, then="retrain", reason="It is <0.4>.")


def sum_up(root: Path, rules: list[RuleState], retraining: Retraining | None = None, reason: str = "") -> Summary:
    for task, file, record in (
        ("monitor/monitored", MONITORING, Monitoring(WINDOW, rules=rules)),
        ("retrain/r", RETRAINING, retraining),
    ):
        (root / RUN / task).mkdir(parents=True)
        if record:
            record.write(root / RUN / task / file)
    own = root / RUN / "summarize"
    return summarize(str(own / "summary"), RUN, "7", own / "summary", own / "report.html", reason=reason)


def test_an_alarm_and_its_retraining_are_the_outcome(tmp_path: Path) -> None:
    old = RuleState("rule", "other", "", 20.0, 9.0, 0.4, 0.2, "2026-10-20", then="notify", reason="It stands.")
    made = Retraining(True, "run-3", "because", "The run run-3 was started.")
    found = sum_up(tmp_path, [old, ALARM], made)
    assert found.headline() == "It is <0.4>. 1 earlier alarm is still active. The run run-3 was started."
    assert found.monitoring == MonitoringSummary(
        "It is <0.4>. 1 earlier alarm is still active.", ["It is <0.4>."], ["It stands."], "The run run-3 was started.",
        retrained=True,
    )  # fmt: skip
    page = (tmp_path / RUN / "summarize" / "report.html").read_text()
    assert "It is &lt;0.4&gt;." in page
    assert "The run run-3 was started." in page


def test_a_run_without_an_alarm_says_how_many_requests_it_compared(tmp_path: Path) -> None:
    found = sum_up(tmp_path, [])
    assert found.headline() == "1,200 requests of version 3, no alarm."
    assert found.quiet


@pytest.mark.parametrize(
    ("state", "monitoring", "told"),
    [
        ("SUCCEEDED", MonitoringSummary("no alarm"), False),
        ("SUCCEEDED", MonitoringSummary("stands", standing=["It stands."]), False),
        ("SUCCEEDED", MonitoringSummary("new", new=["It is 0.4."]), True),
        ("SUCCEEDED", MonitoringSummary("stands", standing=["It stands."], retraining="No run was started."), False),
        ("SUCCEEDED", MonitoringSummary("", retraining="The run was started.", retrained=True), True),
        ("FAILED", MonitoringSummary("no alarm"), True),
    ],
)
def test_only_new_alarms_failures_and_retrainings_are_notified_about(
    monkeypatch: pytest.MonkeyPatch, state: str, monitoring: MonitoringSummary, told: bool
) -> None:
    sent: list[object] = []
    monkeypatch.setenv("HOOK", "https://hooks.example.org/x")
    monkeypatch.setattr(module, "post", lambda address, message, *_, **__: sent.append(message))
    for only_failures in (False, True):
        options = NotificationOptions(webhooks=["env:HOOK"], only_failures=only_failures)
        assert notify(Summary(RUN, state, monitoring=monitoring), "", options) == []
    assert len(sent) == 2 * told


def test_a_run_that_monitoring_started_says_why(tmp_path: Path) -> None:
    found = sum_up(tmp_path, [], reason="Monitoring of demo: It is 0.4.")
    assert found.reason == "Monitoring of demo: It is 0.4."
    assert "Monitoring of demo: It is 0.4." in (tmp_path / RUN / "summarize" / "report.html").read_text()
    assert "Started because: Monitoring of demo" in module._slack(found, "")["text"]
