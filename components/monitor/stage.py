"""The monitor stage: figures of live traffic, and alarms."""

import logging
from datetime import datetime
from pathlib import Path

from seqline.artifacts import monitoring as layout
from seqline.artifacts.monitoring import Monitoring, Window
from seqline.artifacts.monitoring_state import State, Windows
from seqline.artifacts.reference import REFERENCE, Reference
from seqline.atomic import atomic_directory, atomic_write
from seqline.components.monitor.evidence import Evidence
from seqline.components.monitor.measuring import measure
from seqline.components.monitor.options import Options
from seqline.components.monitor.publishing import publish, to_prometheus
from seqline.components.monitor.report import write_report
from seqline.components.monitor.rules import DEFAULT
from seqline.components.monitor.traffic import Traffic
from seqline.metrics.sequential import required

log = logging.getLogger(__name__)


def monitor(
    window: Path,
    monitoring: Path,
    report: Path,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Monitoring:
    """Compares a window of live traffic with the training corpus and with the window before.

    `seqline.artifacts.monitoring` describes the output. The evidence of each rule adds up from window to window, in the
    folder of the state; the same window twice counts once.

    Args:
        window: The folder that collect wrote.
        monitoring: The folder to write.
        report: The HTML page to write.
        options: Options of monitoring.

    Returns:
        The content of monitoring.json.

    Raises:
        UserError: If the window is incomplete, or the state cannot be read or written.
    """
    read = Window.read(window / layout.WINDOW)
    reference = Reference.read(window / REFERENCE) if (window / REFERENCE).is_file() else None
    traffic = Traffic.read(window / layout.REQUESTS, window / layout.FEEDBACK, reference)
    earlier = Traffic.read(window / layout.PREVIOUS, window / layout.PREVIOUS_FEEDBACK, reference)
    states = Windows(read.state)
    end = datetime.fromisoformat(read.end)
    before = states.before(end)
    notes = list(read.notes)
    if before is not None and before.fingerprint != read.fingerprint:
        notes.append(f"version {read.version} became live since the last window: the evidence starts over")
        before = None
    evidence = Evidence(before)
    found = _judged(read, traffic, earlier, evidence, options, notes)
    state = State(
        start=read.start,
        end=read.end,
        fingerprint=read.fingerprint,
        requests=len(traffic.requests),
        **evidence.kept(found.rules),
    )
    with atomic_directory(monitoring, layout.MONITORING) as folder:
        atomic_write(folder / layout.PROMETHEUS, to_prometheus(found))
        found.write(folder / layout.MONITORING)
    write_report(report, found, traffic, before)
    # Last: a run that fails before is repeated with the state that it began with.
    if not states.write(state):
        log.info("the window that ended at %s was already compared; its state is unchanged", read.end)
    publish(found, options)
    log.info("%s", found.headline())
    return found


def _judged(
    window: Window, traffic: Traffic, earlier: Traffic, evidence: Evidence, options: Options, notes: list[str]
) -> Monitoring:
    rules = options.rules or list(DEFAULT)
    slices = ["", *(traffic.slices(options.min_slice_size, options.slices) if options.slices else [])]
    # Of windows that are shorter than usual there are more in a year.
    span = datetime.fromisoformat(window.end) - datetime.fromisoformat(window.start)
    hours = min(window.hours, span.total_seconds() / 3600)
    limit = required(options.false_alarms_per_year, hours, len(rules) * len(slices))
    figures, states = [], []
    for name in slices:
        ours, before = traffic.of_slice(name), earlier.of_slice(name)
        compared = before if len(before.requests) else None
        measured = measure(ours, compared, name)
        figures += measured
        by_name = {one.figure: one for one in measured}
        states += [
            evidence.judge(rule, name, ours, compared, by_name.get(rule.figure), limit, window.end) for rule in rules
        ]
    return Monitoring(window, figures, states, options.false_alarms_per_year, notes)
