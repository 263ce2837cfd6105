"""The figures in Prometheus, a Pushgateway and Cloud Monitoring."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from seqline.artifacts.monitoring import Measured, Monitoring, RuleState, Window
from seqline.components.monitor.options import Options
from seqline.components.monitor.publishing import publish, to_cloud_monitoring, to_prometheus
from seqline.errors import UserError
from tests.stand_ins.server import Answer, ApiError, Faults, Request, serving

ENDPOINT = "projects/my-project/locations/us-central1/endpoints/demo"
WINDOW = Window(
    ENDPOINT, "2026-11-01T00:00:00+00:00", "2026-11-02T00:00:00+00:00", 24, "3", "f3", "", "log", "state", 1200
)
FOUND = Monitoring(
    WINDOW,
    [Measured("empty", "", 1200, 0.02, 0.01, 0.03), Measured("empty", 'a "b"\nc\\', 120, 0.5, 0.4, 0.6)],
    [RuleState("Empty outputs above 0.01", "key", "", 20.0, 9.0, 0.02, 0.01, "2026-11-02")],
)


class Recorder:
    """A service that keeps what it is sent, as its API takes it."""

    def __init__(self, refuses: int = 0) -> None:
        self.requests: list[Request] = []
        self.refuses = refuses

    @classmethod
    @contextmanager
    def running(cls, refuses: int = 0) -> Iterator[tuple["Recorder", str]]:
        recorder = cls(refuses)
        with serving(recorder, Faults()) as url:
            yield recorder, url

    def name(self, request: Request) -> str:
        return request.path

    def answer(self, request: Request) -> Answer:
        if self.refuses:
            raise ApiError(self.refuses, "no")
        self.requests.append(request)
        if "timeSeries" in request.path:
            for one in json.loads(request.body)["timeSeries"]:
                check_series(one)
        return Answer(b"{}")


def check_series(one: dict[str, Any]) -> None:
    """As Cloud Monitoring checks: https://cloud.google.com/monitoring/custom-metrics/creating-metrics."""
    if not one["metric"]["type"].startswith("custom.googleapis.com/"):
        raise ApiError(400, "The metric type must begin with a domain")
    if len(one["metric"]["labels"]) > 30 or any(len(value) > 1024 for value in one["metric"]["labels"].values()):
        raise ApiError(400, "too many or too long labels")
    if one["resource"]["type"] != "global" or set(one["points"][0]) != {"interval", "value"} or len(one["points"]) != 1:
        raise ApiError(400, "one point of one resource")


def test_prometheus_reads_the_figures_with_their_intervals() -> None:
    families = {one.name: one for one in text_string_to_metric_families(to_prometheus(FOUND))}
    values = {
        (sample.labels["figure"], sample.labels["slice"], sample.labels["bound"]): sample.value
        for sample in families["seqline_monitoring_figure"].samples
    }
    assert values["empty", "", ""] == 0.02
    assert values["empty", 'a "b"\nc\\', "high"] == 0.6
    assert [sample.value for sample in families["seqline_monitoring_alarm"].samples] == [1.0]
    assert [sample.value for sample in families["seqline_monitoring_requests"].samples] == [1200.0]


def test_the_file_of_the_textfile_collector_is_replaced_as_a_whole(tmp_path: Path) -> None:
    address = tmp_path / "collector" / "seqline.prom"
    assert publish(FOUND, Options(metrics_file=str(address))) == []
    assert address.read_text() == to_prometheus(FOUND)
    assert [path.name for path in address.parent.iterdir()] == ["seqline.prom"]


def test_a_pushgateway_gets_the_figures_in_a_group_of_the_endpoint() -> None:
    with Recorder.running() as (gateway, url):
        assert publish(FOUND, Options(pushgateway=url)) == []
        (request,) = gateway.requests
    assert (request.verb, request.body.decode()) == ("PUT", to_prometheus(FOUND))
    assert request.path.startswith("/metrics/job/seqline_monitoring/endpoint@base64/cHJvamVjdHM")


def test_cloud_monitoring_gets_each_figure_as_a_custom_metric() -> None:
    with Recorder.running() as (service, url):
        assert to_cloud_monitoring(FOUND, f"{url}/v3", anonymous=True) == 4
        (request,) = service.requests
    assert (request.verb, request.path) == ("POST", "/v3/projects/my-project/timeSeries")
    series = json.loads(request.body)["timeSeries"]
    names = [one["metric"]["type"].removeprefix("custom.googleapis.com/seqline/monitoring/") for one in series]
    assert names == ["requests", "empty", "empty", "alarm"]
    assert series[1]["metric"]["labels"] == {"endpoint": ENDPOINT, "version": "3", "slice": ""}
    assert series[1]["points"] == [{"interval": {"endTime": "2026-11-02T00:00:00Z"}, "value": {"doubleValue": 0.02}}]


def test_a_missing_role_is_named() -> None:
    message = "needs the role roles/monitoring.metricWriter on project my-project"
    with Recorder.running(refuses=403) as (_, url), pytest.raises(UserError, match=message):
        to_cloud_monitoring(FOUND, f"{url}/v3", anonymous=True)


def test_what_is_not_published_is_said_and_changes_no_alarm(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Recorder.running(refuses=503) as (_, url):
        failed = publish(FOUND, Options(metrics_file=str(tmp_path / "file" / "x.prom"), pushgateway=url))
    assert len(failed) == 2
    assert all(message.startswith("the figures were not published: ") for message in failed)
