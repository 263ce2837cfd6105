"""The summary stage: whatever a run left in, one page and one JSON out."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from seqline.artifacts.decision import FILE as DECISION
from seqline.artifacts.decision import Decision
from seqline.artifacts.run_summary import Ruling, Summary, write_summary
from seqline.atomic import atomic_directory, atomic_write
from seqline.components.summary.run_files import RunFiles, failed_on_vertex
from seqline.html_report.page import render
from seqline.metrics.metrics import METRICS

log = logging.getLogger(__name__)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Ending:
    """How the orchestrator says that the run ended.

    Attributes:
        state: SUCCEEDED, FAILED or CANCELLED.
        task: The task whose state it is; on a laptop only the exit handler's name.
        error: Its error message, if any.
    """

    state: str = "SUCCEEDED"
    task: str = ""
    error: str = ""


def summarize(runs_root: str, run_name: str, summary: Path, report: Path, ending: Ending = Ending()) -> Summary:
    """Writes down what a run did and came to.

    summary/
      summary.json   state, error, figures, decision, deployment, samples; see seqline.artifacts.run_summary

    It runs after success and failure alike and so takes what it finds: whatever is missing or cannot be read
    is left out, and said in the notes.

    Args:
        runs_root: The pipeline root, local or gs://.
        run_name: The run's name, which is its folder's name.
        summary: The folder to write.
        report: The HTML page to write.
        ending: How the orchestrator says that the run ended.

    Returns:
        What summary.json says.
    """
    notes: list[str] = []
    files = _attempt(lambda: RunFiles(runs_root, run_name), f"the files of run {run_name!r} under {runs_root}", notes)
    if files is not None and not files.folder:
        notes.append(f"There is no folder of run {run_name!r} under {runs_root}.")

    def load(name: str, parse: Callable[[str, str], Found]) -> Found | None:
        paths = files.find(name) if files else []
        return _attempt(lambda: parse(files.read(paths[-1]), paths[-1]), name, notes) if files and paths else None

    snapshot = load("snapshot.json", _object) or {}
    decision = load(DECISION, Decision.from_json)
    failed_task, error = _failure(files, ending, summary.parent.name, notes)
    found = Summary(
        run=run_name,
        state=ending.state,
        failed_task=failed_task,
        error=error,
        data=str(snapshot.get("data", "")),
        data_fingerprint=str(snapshot.get("fingerprint", "")),
        metrics=decision.challenger if decision else {},
        champion_metrics=decision.champion if decision else None,
        decision=Ruling(decision.blessed, decision.model_fingerprint, decision.rules) if decision else None,
        deployment=load("deployment.json", _object),
        samples=decision.samples if decision else [],
        notes=notes,
    )
    log.info("%s", found.headline())
    with atomic_directory(summary) as folder:
        write_summary(folder, found)
    labels = {metric.name: metric.label for metric in METRICS.values()}
    atomic_write(report, render(Path(__file__).with_name("report.html"), summary=found, labels=labels))
    return found


def _failure(files: RunFiles | None, ending: Ending, running: str, notes: list[str]) -> tuple[str, str]:
    """The failed tasks and what they said, from the best source there is."""
    if ending.state == "SUCCEEDED":
        return "", ""
    said = _attempt(lambda: files.failed_tasks(running), "the tasks' logs", notes) if files else None
    if said:
        alone = len(said) == 1
        return ", ".join(said), "\n".join(text if alone else f"{task}: {text}" for task, text in said.items())
    return failed_on_vertex(ending.error) or ending.task, ending.error


def _attempt(action: Callable[[], Found], what: str, notes: list[str]) -> Found | None:
    """What an action gives; None, and a note, if it fails in whatever way: a summary is always written."""
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
