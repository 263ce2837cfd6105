"""The summary stage: collects the outcome of a run in a JSON file and a report."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from seqline.artifacts.decision import FILE as DECISION
from seqline.artifacts.decision import Decision
from seqline.artifacts.monitoring import MONITORING, Monitoring
from seqline.artifacts.retraining import FILE as RETRAINING
from seqline.artifacts.retraining import Retraining
from seqline.artifacts.run_summary import FILE, DecisionSummary, MonitoringSummary, Summary, write_summary
from seqline.atomic import atomic_directory, atomic_write
from seqline.components.summary.notify import notify
from seqline.components.summary.options import OPEN, NotificationOptions, RunStatus
from seqline.components.summary.run_files import RunFiles, failed_on_vertex
from seqline.html_report.page import render
from seqline.metrics.headline import headline_of
from seqline.metrics.metrics import Labels
from seqline.vertex_api.run_page import page_of

log = logging.getLogger(__name__)

Found = TypeVar("Found")


def summarize(
    address: str,
    run_name: str,
    run_id: str,
    summary: Path,
    report: Path,
    status: RunStatus = RunStatus(),  # noqa: B008 (frozen)
    notification: NotificationOptions = NotificationOptions(),  # noqa: B008
    reason: str = "",
) -> Summary:
    """Writes the outcome of a run, and sends it to webhooks.

    summary/
      summary.json   state, error, metrics, decision, deployment, samples; see seqline.artifacts.run_summary

    It runs after success and failure alike: whatever is missing or cannot be read is left out and reported in the
    notes.

    Args:
        address: Address of the summary, a path or such as gs:// or s3://: in the folder of the run, like the outputs
            of all of its tasks.
        run_name: The run's name.
        run_id: The run's id. The run's folder has one of the two names.
        summary: The folder to write.
        report: The HTML page to write.
        status: The run's final status.
        notification: Who is notified; what fails of it is reported in the notes, and does not fail the run.
        reason: Why the run was started; empty if nobody said it.

    Returns:
        The summary.
    """
    notes: list[str] = []
    files = _attempt(lambda: RunFiles(address, run_name, run_id), f"the files of run {run_name!r}", notes)

    def load(name: str, parse: Callable[[str, str], Found]) -> Found | None:
        paths = files.find(name) if files else []
        return _attempt(lambda: parse(files.read(paths[-1]), paths[-1]), name, notes) if files and paths else None

    snapshot = load("snapshot.json", _object) or {}
    decision = load(DECISION, Decision.from_json)
    failed_task, error = _failure(files, status, notes)
    found = Summary(
        run=run_name,
        state=_state(files, status, bool(failed_task)),
        failed_task=failed_task,
        error=error,
        data=str(snapshot.get("data", "")),
        data_fingerprint=str(snapshot.get("fingerprint", "")),
        metrics=decision.challenger if decision else {},
        champion_metrics=decision.champion if decision else None,
        decision=_decided(decision) if decision else None,
        deployment=load("deployment.json", _object),
        samples=decision.samples if decision else [],
        reason=reason,
        monitoring=_monitored(load(MONITORING, Monitoring.from_json), load(RETRAINING, Retraining.from_json)),
        notes=notes,
    )
    log.info("%s", found.headline())
    found = replace(found, notes=[*notes, *notify(found, status.resource, notification)])
    with atomic_directory(summary, FILE) as folder:
        write_summary(folder, found)
    page = render(
        Path(__file__).with_name("report.html"),
        summary=found,
        labels=Labels(),
        headline=headline_of(found.decision.task if found.decision else "", found.metrics),
        console=page_of(status.resource),
    )
    atomic_write(report, page)
    return found


def _decided(decision: Decision) -> DecisionSummary:
    return DecisionSummary(
        decision.blessed,
        decision.model_fingerprint,
        decision.rules,
        decision.anchor.reason,
        decision.task,
        decision.comparisons,
        decision.judged.version if decision.judged else "",
    )


def _monitored(found: Monitoring | None, retraining: Retraining | None) -> MonitoringSummary | None:
    if found is None:
        return None
    alarms = found.alarms
    return MonitoringSummary(
        found.headline(),
        [alarm.reason for alarm in alarms if alarm.new],
        [alarm.reason for alarm in alarms if not alarm.new],
        retraining.outcome if retraining else "",
        found.notes,
        retraining is not None and retraining.started,
    )


def _state(files: RunFiles | None, status: RunStatus, failed: bool) -> str:
    """The run's state. A server of Kubeflow may leave it open: then the run's files decide, if they can."""
    if status.state != OPEN:
        return status.state
    if failed:
        return "FAILED"
    return "SUCCEEDED" if files is not None and files.complete() else "UNKNOWN"


def _failure(files: RunFiles | None, status: RunStatus, notes: list[str]) -> tuple[str, str]:
    """Returns the failed tasks and their error messages, from the best source available."""
    if status.state == "SUCCEEDED":
        return "", ""
    errors = _attempt(files.failed_tasks, "the tasks' logs", notes) if files else None
    if errors:
        single = len(errors) == 1
        return ", ".join(errors), "\n".join(text if single else f"{task}: {text}" for task, text in errors.items())
    if status.state == OPEN:
        return "", ""
    return failed_on_vertex(status.error) or status.task, status.error


def _attempt(action: Callable[[], Found], what: str, notes: list[str]) -> Found | None:
    """Runs an action; any failure becomes a note and None, because a summary is always written."""
    try:
        return action()
    except Exception as error:
        log.warning("could not read %s", what, exc_info=True)
        notes.append(f"Could not read {what}: {error}")
        return None


def _object(text: str, origin: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"{origin} is not a JSON object")
    return content
