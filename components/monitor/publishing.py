"""The figures for other systems: Prometheus, a Pushgateway, and Cloud Monitoring."""

import logging
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from seqline.artifacts.monitoring import Monitoring
from seqline.artifacts.monitoring_state import Folder
from seqline.components.monitor.options import Options
from seqline.endpoints.names import ENDPOINT
from seqline.errors import UserError

log = logging.getLogger(__name__)

SECONDS = 30.0
API = "https://monitoring.googleapis.com/v3"
# https://cloud.google.com/monitoring/custom-metrics/creating-metrics: a custom metric's type begins so; a request has
# at most 200 time series (https://cloud.google.com/monitoring/quotas#custom_metrics_quotas).
TYPE = "custom.googleapis.com/seqline/monitoring"
MOST_SERIES = 200


def to_prometheus(found: Monitoring) -> str:
    """Returns the figures in the text format of Prometheus.

    https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

    Args:
        found: The result.
    """
    own = {"endpoint": found.window.endpoint, "version": found.window.version}
    lines = _gauge("seqline_monitoring_requests", "Sampled requests of the window.", [(own, found.window.found)])
    lines += _gauge(
        "seqline_monitoring_figure",
        "A figure of the window; low and high are the ends of its interval.",
        [
            ({**own, "figure": one.figure, "slice": one.slice, "bound": bound}, value)
            for one in found.figures
            for bound, value in (("", one.value), ("low", one.low), ("high", one.high))
        ],
    )
    lines += _gauge(
        "seqline_monitoring_alarm",
        "1 if the rule is in alarm, otherwise 0.",
        [
            ({**own, "rule": one.rule, "slice": one.slice, "then": one.then}, float(bool(one.since)))
            for one in found.rules
        ],
    )
    end = datetime.fromisoformat(found.window.end).timestamp()
    lines += _gauge("seqline_monitoring_window_end_seconds", "End of the window, seconds since 1970.", [(own, end)])
    return "".join(f"{line}\n" for line in lines)


def _gauge(name: str, text: str, values: list[tuple[dict[str, str], float]]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    for labels, value in values:
        shown = ",".join(f'{key}="{_escaped(one)}"' for key, one in labels.items())
        lines.append(f"{name}{{{shown}}} {value!r}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def publish(found: Monitoring, options: Options) -> list[str]:
    """Sends the figures to where the options say. What fails is logged: the alarms do not depend on it.

    Args:
        found: The result.
        options: Options of monitoring.

    Returns:
        A message for each that failed.
    """
    failed = []
    for wanted, send in (
        (options.metrics_file, lambda: _to_file(found, options.metrics_file)),
        (options.pushgateway, lambda: _push(found, options.pushgateway)),
        (options.cloud_monitoring, lambda: to_cloud_monitoring(found)),
    ):
        try:
            if wanted:
                send()
        except Exception as error:  # noqa: PERF203 (a call over the network is slower)
            failed.append(f"the figures were not published: {error or type(error).__name__}")
            log.warning("%s", failed[-1])
    return failed


def _to_file(found: Monitoring, address: str) -> None:
    folder, _, name = address.rpartition("/")
    # The collector reads *.prom, so a file that appears whole is never read in part.
    Folder(folder or ".").write(name, to_prometheus(found))


def _push(found: Monitoring, gateway: str) -> None:
    # PUT replaces the metrics of the group: https://github.com/prometheus/pushgateway#put-method.
    group = f"job/seqline_monitoring/endpoint@base64/{_base64(found.window.endpoint)}"
    request = urllib.request.Request(  # noqa: S310 (the options take http and https only)
        f"{gateway.rstrip('/')}/metrics/{group}",
        to_prometheus(found).encode(),
        {"Content-Type": "text/plain; version=0.0.4"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
        log.info("pushed the figures to %s", gateway)


def _base64(text: str) -> str:
    import base64

    return quote(base64.urlsafe_b64encode(text.encode()).decode())


def to_cloud_monitoring(found: Monitoring, api: str = API, anonymous: bool = False) -> int:
    """Writes the figures as custom metrics of the endpoint's project.

    Args:
        found: The result, of an endpoint on Vertex AI.
        api: Address of the API.
        anonymous: Whether to send no credentials, to a stand-in.

    Returns:
        Number of time series.

    Raises:
        UserError: If the endpoint is on no project, or the API refuses them.
    """
    import requests

    from seqline.vertex_api.sessions import authorized_session

    named = ENDPOINT.fullmatch(found.window.endpoint)
    if not named:
        raise UserError(f"cloud_monitoring: {found.window.endpoint} is not an endpoint on Vertex AI; use metrics_file")
    project = found.window.endpoint.split("/")[1]
    series = list(_series(found, project))
    session = authorized_session(anonymous)
    for first in range(0, len(series), MOST_SERIES):
        body = {"timeSeries": series[first : first + MOST_SERIES]}
        try:
            # https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/create
            answer = session.post(f"{api}/projects/{project}/timeSeries", json=body, timeout=SECONDS)
        except requests.RequestException as error:
            raise UserError(f"Cloud Monitoring does not respond: {type(error).__name__}") from None
        if answer.status_code == 403:
            role = "roles/monitoring.metricWriter"
            raise UserError(f"the run's service account needs the role {role} on project {project}")
        if answer.status_code >= 400:
            raise UserError(f"Cloud Monitoring returned {answer.status_code}: {answer.text[:300]}")
    return len(series)


def _series(found: Monitoring, project: str) -> Iterator[dict[str, Any]]:
    # A point of a gauge has an end only; points of one series must be in order, and a minute apart is enough for one
    # window an hour: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/TimeInterval.
    interval = {"endTime": found.window.end.replace("+00:00", "Z")}
    own = {"endpoint": found.window.endpoint, "version": found.window.version}
    points: list[tuple[str, dict[str, str], float]] = [("requests", {}, float(found.window.found))]
    points += [(one.figure, {"slice": one.slice}, one.value) for one in found.figures]
    points += [("alarm", {"rule": one.rule, "slice": one.slice}, float(bool(one.since))) for one in found.rules]
    for name, labels, value in points:
        yield {
            "metric": {"type": f"{TYPE}/{name}", "labels": {**own, **labels}},
            "resource": {"type": "global", "labels": {"project_id": project}},
            "metricKind": "GAUGE",
            "valueType": "DOUBLE",
            "points": [{"interval": interval, "value": {"doubleValue": value}}],
        }
