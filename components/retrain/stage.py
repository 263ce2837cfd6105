"""The retrain stage: an alarm starts a run of the training pipeline."""

import hashlib
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

from seqline.artifacts import monitoring as layout
from seqline.artifacts.monitoring import Monitoring, Window
from seqline.artifacts.monitoring_state import Folder
from seqline.artifacts.reference import REFERENCE, Reference
from seqline.artifacts.retraining import FILE, Attempt, Retraining, Takeover
from seqline.atomic import atomic_directory
from seqline.components.retrain.new_pairs import count_new_pairs, with_feedback
from seqline.components.retrain.options import Options
from seqline.components.retrain.starters import Starter, starter_of

log = logging.getLogger(__name__)

MONTH = timedelta(days=30)
STARTING = timedelta(minutes=10)
"""How long a run of monitoring may take to start a retraining; then another one may start it."""


def retrain(
    window: Path,
    monitored: Path,
    retraining: Path,
    run: str = "",
    api_endpoint: str = "",
    address: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
    now: str = "",
    starter: Starter | None = None,
) -> Retraining:
    """Starts a run of the training pipeline because an alarm asks for it.

    retraining/
      retraining.json   the run that was started, or why none was

    Before the run is started, its name is written into the state of monitoring. Of several runs of monitoring at a time
    one can write it, and that one alone starts the run. A second attempt for the same window finds it, and starts the
    run only if the service does not know it.

    Args:
        window: The folder that collect wrote.
        monitored: The folder that monitor wrote.
        retraining: The folder to write.
        run: The name of this run, such as projects/P/locations/L/pipelineJobs/ID.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        address: Address of the folder to write, by which this run of monitoring is known; on a laptop it is in the
            folder of runs.
        options: Options of retraining.
        now: The time, ISO 8601; empty for now.
        starter: Starts runs; by default that of the template.

    Returns:
        The content of retraining.json.

    Raises:
        UserError: If the data cannot be read, or the run cannot be started.
    """
    found, read = Monitoring.read(monitored / layout.MONITORING), Window.read(window / layout.WINDOW)
    reference = Reference.read(window / REFERENCE) if (window / REFERENCE).is_file() else None
    owner = address or str(retraining)
    attempts = Attempts(read.state, owner, (lambda: datetime.fromisoformat(now)) if now else _now)
    made = _decided(found, read, reference, options, attempts, starter or starter_of(options, run, api_endpoint, owner))
    log.info("%s", made.outcome)
    with atomic_directory(retraining, FILE) as folder:
        made.write(folder / FILE)
    return made


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _decided(
    found: Monitoring,
    window: Window,
    reference: Reference | None,
    options: Options,
    attempts: "Attempts",
    starter: Starter,
) -> Retraining:
    reason = reason_of(found)
    if not reason:
        return Retraining(False, "", "", "No alarm requires retraining.")
    known = attempts.read()
    same = next((one for one in known if one.window == window.end), None)
    if same is not None:
        return _started_before(same, known, window, options, attempts, starter)
    now = attempts.now()
    refusal = _refusal(known, options, now, starter)
    if refusal:
        return Retraining(False, "", reason, refusal)
    pairs = count_new_pairs(options.parameters, window, reference)
    if pairs < options.min_new_pairs:
        outcome = (
            f"No run was started: there are {pairs} new pairs since the training of version {window.version}, fewer "
            f"than min_new_pairs {options.min_new_pairs}."
        )
        if not options.parameters.get("data"):
            outcome += " retraining.parameters has no data, so only corrections count."
        return Retraining(False, "", reason, outcome, pairs)
    number = max((one.number for one in known), default=0) + 1
    run = run_name(window, number)
    # Counting may have taken long: the time to start it begins now.
    at = attempts.now().isoformat(timespec="seconds")
    attempt = Attempt(number, window.end, run, at, reason, options.template, owner=attempts.owner)
    if not attempts.claim(attempt):
        log.info("another run of monitoring was faster")
        return _decided(found, window, reference, options, attempts, starter)
    started = _start(attempt, window, options, attempts, starter)
    return Retraining(True, run, reason, f"The run {run} was started{starter.where(started)}.", pairs)


def _started_before(
    same: Attempt, known: list[Attempt], window: Window, options: Options, attempts: "Attempts", starter: Starter
) -> Retraining:
    """The retraining of this window: started before, or now if no other run of monitoring is about to."""
    if not same.started:
        later = next((one for one in known if one.number > same.number), None)
        if later:
            outcome = f"No run was started for this window: a later one has the retraining run {later.run}."
            return Retraining(False, "", same.reason, outcome)
        if not attempts.may_start(same):
            outcome = f"Another run of monitoring is starting the run {same.run} for this window."
            return Retraining(False, same.run, same.reason, outcome)
        same = _start(same, window, options, attempts, starter)
    outcome = f"The run {same.run} was already started for this window{starter.where(same)}."
    return Retraining(True, same.run, same.reason, outcome)


def _start(attempt: Attempt, window: Window, options: Options, attempts: "Attempts", starter: Starter) -> Attempt:
    started = replace(starter.start(attempt, _complete(options, window, attempt.run)), started=True)
    attempts.write(started)
    return started


def _complete(options: Options, window: Window, run: str) -> Options:
    """The options with the parameters of the run: it learns from corrections, and goes live where its alarm is from."""
    parameters = {"endpoint": window.endpoint, **with_feedback(options.parameters, window, run)}
    return options.with_values(parameters=parameters)


def run_name(window: Window, number: int) -> str:
    """The name of a retraining: no other has it, also after the state was deleted and the numbers begin again.

    Args:
        window: The window whose alarm starts it.
        number: The retraining's number.
    """
    digest = hashlib.sha256(f"{window.endpoint}\n{window.state}\n{number}\n{window.end}".encode()).hexdigest()[:10]
    return f"seqline-retraining-{digest}-{number}"


def reason_of(found: Monitoring) -> str:
    """The alarms that ask for a retraining, in a few sentences; empty for none.

    Args:
        found: The result of monitor.
    """
    alarms = [alarm.reason for alarm in found.alarms if alarm.then == "retrain"]
    window = found.window
    return f"Monitoring of {window.endpoint}, {window.start} to {window.end}: {' '.join(alarms)}" if alarms else ""


def _refusal(known: list[Attempt], options: Options, now: datetime, starter: Starter) -> str:
    """Why no run may be started now; empty if it may. An attempt that did not start its run in time does not count."""
    times = [(one, datetime.fromisoformat(one.at)) for one in known]
    starting = next((one for one, at in times if not one.started and now - at < STARTING), None)
    if starting:
        return f"No run was started: another run of monitoring is starting the retraining run {starting.run}."
    started = [(one, at) for one, at in times if one.started or starter.knows(one)]
    lately = [one for one, at in started if now - at < MONTH]
    if len(lately) >= options.monthly_budget:
        return (
            f"No run was started: {len(lately)} retraining runs were started in the last 30 days, and monthly_budget "
            f"is {options.monthly_budget}."
        )
    last = max(started, key=lambda one: one[1], default=None)
    if last is None:
        return ""
    if now - last[1] < timedelta(days=options.cooling_days):
        return (
            f"No run was started: the last retraining run, {last[0].run}, was started at {last[0].at}, less than "
            f"{options.cooling_days:g} days (cooling_days) ago."
        )
    running = next((one for one, _ in started if starter.runs(one)), None)
    return f"No run was started: the retraining run {running.run} is still running." if running else ""


@dataclass
class Attempts:
    """The retrainings that were started, in the state of monitoring.

    Attributes:
        state: The state's folder.
        owner: This run of monitoring.
        now: The time.
        sleep: Waits some seconds.
    """

    state: str
    owner: str = ""
    now: Callable[[], datetime] = _now
    sleep: Callable[[float], Any] = time.sleep

    @property
    def folder(self) -> Folder:
        """The folder of the attempts."""
        return Folder(f"{self.state.rstrip('/')}/retrainings")

    def read(self) -> list[Attempt]:
        """Returns the attempts, oldest first."""
        names = (name for name in self.folder.names() if re.fullmatch(r"\d+\.json", name))
        return [Attempt.from_json(self.folder.read(name), f"{self.folder.address}/{name}") for name in names]

    def claim(self, attempt: Attempt) -> bool:
        """Writes a new attempt, after which this run of monitoring alone may start its run.

        Args:
            attempt: The attempt, with this owner.

        Returns:
            Whether its number is this run's; another run of monitoring may have been faster.
        """
        return self.folder.claim(_name(attempt), attempt.to_json(), self.sleep)

    def may_start(self, attempt: Attempt) -> bool:
        """Whether this run of monitoring may start the run of an attempt: it is its owner, or its owner had the time.

        Args:
            attempt: An attempt that is not known to be started.
        """
        holder, names = Takeover(attempt.owner, attempt.at), self.folder.names()
        for number in count(1):
            name = f"{attempt.number:04d}.takeover-{number}"
            if name in names:
                holder = Takeover.from_json(self.folder.read(name), f"{self.folder.address}/{name}")
                continue
            now = self.now()
            if holder.owner == self.owner:
                return True
            if now - datetime.fromisoformat(holder.at) < STARTING:
                return False
            mine = Takeover(self.owner, now.isoformat(timespec="seconds"))
            return self.folder.claim(name, mine.to_json(), self.sleep)
        raise AssertionError  # count has no end

    def write(self, attempt: Attempt) -> None:
        """Writes an attempt whose run this run of monitoring has started.

        Args:
            attempt: The attempt.
        """
        self.folder.write(_name(attempt), attempt.to_json())


def _name(attempt: Attempt) -> str:
    return f"{attempt.number:04d}.json"
