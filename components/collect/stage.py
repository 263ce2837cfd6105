"""The collect stage: a window of sampled requests."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from seqline.artifacts import monitoring as layout
from seqline.artifacts.monitoring import Window
from seqline.artifacts.monitoring_state import State, Windows
from seqline.artifacts.reference import REFERENCE
from seqline.atomic import atomic_directory
from seqline.components.collect.live import find_live
from seqline.components.collect.sources import log_of
from seqline.components.monitor.options import Options
from seqline.schema.sections import resolve

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

LONGEST = timedelta(days=366)
LATE = timedelta(minutes=5)
"""A server writes its samples every minute, and a bucket may show them later."""


def check_and_collect(
    endpoint: str,
    window: Path,
    monitoring: Mapping[str, Any],
    retraining: Mapping[str, Any],
    api_endpoint: str = "",
) -> tuple[Window, dict[str, Any], dict[str, Any]]:
    """Checks the options of all stages, then collects.

    Args:
        endpoint: The endpoint whose traffic is monitored.
        window: The folder to write.
        monitoring: Options of monitoring.
        retraining: Options of retrain.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Returns:
        The content of window.json, and the complete options of both sections.

    Raises:
        UserError: If a later stage would refuse an option, with a line for each; or as `collect` does.
    """
    resolved = resolve({"endpoint": endpoint}, {"monitoring": monitoring, "retraining": retraining})
    options = cast("Options", resolved["monitoring"])
    found = collect(endpoint, window, api_endpoint, options=options)
    return found, options.model_dump(mode="json"), resolved["retraining"].model_dump(mode="json")


def collect(
    endpoint: str,
    window: Path,
    api_endpoint: str = "",
    now: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Window:
    """Collects the sampled requests of a window, and what the live version's traffic is compared with.

    `seqline.artifacts.monitoring` describes the output. A window ends at the last full hour that is five minutes ago,
    so that a run that is started again within the hour is about the same window. It begins where the previous one
    ended, so that no request counts twice and none is lost.

    Args:
        endpoint: The endpoint whose traffic is monitored.
        window: The folder to write.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        now: The time, ISO 8601 with a time zone; empty for now.
        options: Options of monitoring.

    Returns:
        The content of window.json.

    Raises:
        UserError: If no version is live, or the requests cannot be found.
    """
    from seqline.artifacts.feedback_log import last_of_each_answer

    live = find_live(endpoint, api_endpoint)
    requests = log_of(endpoint, options.requests, live)
    state = _state(endpoint, options.state) or requests.default_state
    end = _end(now)
    start = _start(end, Windows(state).before(end), options)
    length = end - start
    notes = [live.problem] if live.problem else []
    tables, counts = {}, {}
    for name, since, until in ((layout.REQUESTS, start, end), (layout.PREVIOUS, start - length, start)):
        table, unread = requests.requests(since, until)
        notes += unread
        ours = _of_version(table, live.version)
        counts[name] = len(ours), len(table) - len(ours)
        tables[name] = shuffled(ours).slice(0, options.max_requests)
    for name, since, until in ((layout.FEEDBACK, start, end), (layout.PREVIOUS_FEEDBACK, start - length, start)):
        table, unread = requests.feedback(since, until)
        notes += unread
        tables[name] = shuffled(last_of_each_answer(_of_version(table, live.version)))
    found = Window(
        endpoint=endpoint,
        start=_text(start),
        end=_text(end),
        hours=options.hours,
        version=live.version,
        fingerprint=live.fingerprint,
        created=live.created,
        requests=requests.address,
        state=state,
        found=counts[layout.REQUESTS][0],
        others=counts[layout.REQUESTS][1],
        previous=counts[layout.PREVIOUS][0],
        notes=list(dict.fromkeys(notes)),
    )
    if not any(len(table) for table in tables.values()) and not found.others:
        requests.require_any()
    with atomic_directory(window, layout.WINDOW) as folder:
        for name, table in tables.items():
            _write(folder / name, table)
        if live.reference:
            live.reference.write(folder / REFERENCE)
        found.write(folder / layout.WINDOW)
    log.info("%s to %s: %d requests of version %s", found.start, found.end, found.found, found.version)
    for note in found.notes:
        log.warning("%s", note)
    return found


def _state(endpoint: str, folder: str) -> str:
    """The folder of an endpoint's state in one that several may share; empty for none."""
    digest = hashlib.sha256(endpoint.encode()).hexdigest()[:8]
    return f"{folder.rstrip('/')}/{endpoint.rstrip('/').rpartition('/')[2]}-{digest}" if folder else ""


def _end(now: str) -> datetime:
    moment = (datetime.fromisoformat(now) if now else datetime.now(timezone.utc)) - LATE
    return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)


def _start(end: datetime, before: State | None, options: Options) -> datetime:
    usual = end - timedelta(hours=options.hours)
    if before is None:
        return usual
    previous = datetime.fromisoformat(before.end)
    # Within the window before, requests would count twice.
    return max(previous, end - LONGEST) if options.since_previous else max(previous, usual)


def _of_version(table: "pa.Table", version: str) -> "pa.Table":
    import pyarrow.compute as pc

    return table.filter(pc.equal(table["version"], version))


def shuffled(table: "pa.Table") -> "pa.Table":
    """The requests in random order, the same for every run: by a digest of their ids.

    So that a burst of alike requests weighs as much as its share, wherever in the window it was.

    Args:
        table: Requests of a window.
    """
    import zlib

    import numpy as np
    import pyarrow as pa

    if not len(table):
        return table
    digests = np.array([zlib.crc32(one.encode()) for one in table["id"].to_pylist()], np.uint32)
    order = np.lexsort((table["time"].to_numpy().astype("int64"), digests))
    return table.take(pa.array(order))


def _write(path: Path, table: "pa.Table") -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd")


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
