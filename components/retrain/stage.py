"""The retrain stage: an alarm starts a run of the training pipeline."""

import hashlib
import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from seqline.artifacts import monitoring as layout
from seqline.artifacts.monitoring import Monitoring, Window
from seqline.artifacts.monitoring_state import Folder
from seqline.artifacts.reference import REFERENCE, Reference
from seqline.artifacts.retraining import FILE, Attempt, Retraining
from seqline.atomic import atomic_directory
from seqline.components.retrain.new_pairs import count_new_pairs, with_feedback
from seqline.components.retrain.options import Options
from seqline.components.retrain.starters import Starter, starter_of
from seqline.errors import UserError

log = logging.getLogger(__name__)

MONTH = timedelta(days=30)


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

    Before the run is started, its name is written into the state of monitoring. A second attempt for the same window
    finds it, and starts the run only if the service does not know it.

    Args:
        window: The folder that collect wrote.
        monitored: The folder that monitor wrote.
        retraining: The folder to write.
        run: The name of this run, such as projects/P/locations/L/pipelineJobs/ID.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        address: Address of the folder to write, which tells a laptop's runs folder.
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
    moment = datetime.fromisoformat(now) if now else datetime.now(timezone.utc)
    starts = starter or starter_of(options, run, api_endpoint, address or str(retraining))
    made = _decided(found, read, reference, options, moment, starts)
    log.info("%s", made.outcome)
    with atomic_directory(retraining, FILE) as folder:
        made.write(folder / FILE)
    return made


def _decided(
    found: Monitoring, window: Window, reference: Reference | None, options: Options, now: datetime, starter: Starter
) -> Retraining:
    reason = reason_of(found)
    if not reason:
        return Retraining(False, "", "", "No alarm asks for a retraining.")
    attempts = Attempts(window.state)
    known = attempts.read()
    same = next((one for one in known if one.window == window.end), None)
    if same is not None:
        attempts.write(starter.start(same, _complete(options, window, same.run)))
        return Retraining(True, same.run, same.reason, f"The run {same.run} was started for this window before.")
    refusal = _refusal(known, options, now, starter)
    if refusal:
        return Retraining(False, "", reason, refusal)
    pairs = count_new_pairs(options.parameters, window, reference)
    if pairs < options.min_new_pairs:
        outcome = (
            f"No run was started: there are {pairs} new pairs since version {window.version} was trained, fewer than "
            f"min_new_pairs {options.min_new_pairs}."
        )
        if not options.parameters.get("data"):
            outcome += " retraining.parameters names no data, in which rows are counted."
        return Retraining(False, "", reason, outcome, pairs)
    number = max((one.number for one in known), default=0) + 1
    run = run_name(window.endpoint, window.state, number)
    attempt = Attempt(number, window.end, run, now.isoformat(timespec="seconds"), reason, options.template)
    attempts.write(attempt)
    attempts.write(starter.start(attempt, _complete(options, window, run)))
    return Retraining(True, run, reason, f"The run {run} was started.", pairs)


def _complete(options: Options, window: Window, run: str) -> Options:
    """The options with the parameters of the run: it learns from corrections, and goes live where its alarm is from."""
    parameters = {"endpoint": window.endpoint, **with_feedback(options.parameters, window, run)}
    return options.with_values(parameters=parameters)


def run_name(endpoint: str, state: str, number: int) -> str:
    """The name of a retraining: two runs that count alike start one run.

    Args:
        endpoint: The endpoint.
        state: Where the state of monitoring is.
        number: The retraining's number.
    """
    digest = hashlib.sha256(f"{endpoint}\n{state}\n{number}".encode()).hexdigest()[:10]
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
    """Why no run may be started now; empty if it may."""
    started = [(one, datetime.fromisoformat(one.at)) for one in known]
    lately = [one for one, at in started if now - at < MONTH]
    if len(lately) >= options.monthly_budget:
        return (
            f"No run was started: {len(lately)} retrainings were started in the last 30 days, and monthly_budget is "
            f"{options.monthly_budget}."
        )
    last = max(started, key=lambda one: one[1], default=None)
    if last is None:
        return ""
    if now - last[1] < timedelta(days=options.cooling_days):
        return (
            f"No run was started: the last retraining, {last[0].run}, was started at {last[0].at}, less than "
            f"cooling_days {options.cooling_days:g} ago."
        )
    running = next((one for one, _ in started if starter.runs(one)), None)
    return f"No run was started: the retraining {running.run} still runs." if running else ""


class Attempts:
    """The retrainings that were started, in the state of monitoring.

    Args:
        state: The state's folder.
    """

    def __init__(self, state: str) -> None:
        self.folder = Folder(f"{state.rstrip('/')}/retrainings")

    def read(self) -> list[Attempt]:
        """Returns the attempts, oldest first."""
        names = (name for name in self.folder.names() if name.endswith(".json"))
        return [Attempt.from_json(self.folder.read(name), f"{self.folder.address}/{name}") for name in names]

    def write(self, attempt: Attempt) -> None:
        """Writes an attempt.

        Args:
            attempt: The attempt; one of its number is replaced if it is of the same window.

        Raises:
            UserError: If another run of monitoring has written another attempt meanwhile.
        """
        name = f"{attempt.number:04d}.json"
        if name in self.folder.names():
            other = Attempt.from_json(self.folder.read(name), name)
            if other.run != attempt.run:
                raise UserError(f"another run of monitoring started {other.run} meanwhile; nothing was started twice")
            attempt = replace(attempt, window=other.window, at=other.at, reason=other.reason)
        self.folder.write(name, attempt.to_json())
