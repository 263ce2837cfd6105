"""Traffic split, labels, health and logs over real connections, with two versions in memory."""

import json
import logging
import random
from collections.abc import Iterator

import pytest

from seqline.serving.engine import ModelFailedError
from seqline.serving.logs import JsonFormatter
from tests.servers import InProcess, StandInEngine, client, in_process, until


@pytest.fixture
def server() -> Iterator[InProcess]:
    with in_process({1: StandInEngine("one "), 2: StandInEngine("two ")}, text_characters=50) as server:
        yield server


def version(server: InProcess, path: str = ":predict") -> str:
    """The version that answers; header and answer agree."""
    answer = server.predict("x", path=path)
    assert answer.status_code == 200, answer.text
    name = {"1": "one x", "2": "two x"}[answer.headers["x-model-version"]]
    assert answer.json()["predictions"][0]["text"] == name
    return answer.headers["x-model-version"]


@pytest.mark.parametrize(("traffic", "expected"), [({1: 80, 2: 20}, 160), ({1: 20, 2: 80}, 40)])
def test_requests_are_answered_in_proportion_to_the_shares(
    server: InProcess, traffic: dict[int, int], expected: int
) -> None:
    server.set(traffic)
    random.seed(7)
    drawn = [version(server) for _ in range(200)]
    assert drawn.count("1") == pytest.approx(expected, abs=25)
    metrics = client.get(f"{server.url}/metrics").text
    for number, share in traffic.items():
        assert f'seqline_traffic_percent{{version="{number}"}} {share:.1f}' in metrics
        count = drawn.count(str(number))
        assert f'seqline_requests_total{{interface="http",result="ok",version="{number}"}} {count:.1f}' in metrics


def test_a_changed_split_is_followed(server: InProcess) -> None:
    assert {version(server) for _ in range(10)} == {"1"}
    server.set({1: 0, 2: 100})
    assert {version(server) for _ in range(10)} == {"2"}
    server.set({1: 100})
    assert {version(server) for _ in range(10)} == {"1"}
    until(lambda: client.get(f"{server.url}/v1/traffic").json()["loaded"] == [1])


def test_a_number_or_a_label_chooses_the_version_whatever_its_share(server: InProcess) -> None:
    server.set({1: 0, 2: 100}, champion=2, previous=1)
    assert version(server, "/versions/1:predict") == version(server, "/labels/previous:predict") == "1"
    assert version(server, "/versions/2:predict") == version(server, "/labels/champion:predict") == "2"
    server.set({1: 0, 2: 100}, champion=1, previous=2)
    assert version(server, "/labels/champion:predict") == "1"


def test_an_unknown_label_is_named(server: InProcess) -> None:
    answer = server.predict("x", path="/labels/canary:predict")
    assert (answer.status_code, answer.json()) == (404, {"error": "model m has no label 'canary'; loaded versions: 1"})


def test_status_and_metadata_are_those_of_the_label(server: InProcess) -> None:
    server.set({1: 0, 2: 100}, champion=2)
    (status,) = client.get(f"{server.url}/v1/models/m/labels/champion").json()["model_version_status"]
    assert status["version"] == "2"
    metadata = client.get(f"{server.url}/v1/models/m/labels/champion/metadata").json()
    assert metadata["model_spec"]["version"] == "2"


def test_the_split_has_shares_aliases_loaded_versions_and_failures(server: InProcess) -> None:
    server.set({1: 30, 2: 70}, champion=2)
    server.versions.source.wanted = type(server.versions.applied)({1: 30, 2: 70, 3: 0}, {"champion": 2})
    until(lambda: server.versions.failures)
    assert client.get(f"{server.url}/v1/traffic").json() == {
        "name": "m",
        "traffic": {"1": 30, "2": 70, "3": 0},
        "aliases": {"champion": 2},
        "loaded": [1, 2],
        "failures": {"3": "there is no version 3"},
    }


def health(server: InProcess) -> tuple[int, bool]:
    answer = client.get(f"{server.url}/healthz")
    return answer.status_code, answer.json()["ready"]


def test_health_is_503_once_a_version_with_a_share_fails_and_200_when_it_answers_again(server: InProcess) -> None:
    server.set({1: 0, 2: 100})
    assert health(server) == (200, True)
    server.engines[1].error = ModelFailedError("no")
    server.predict("x", path="/versions/1:predict")
    assert health(server) == (200, True)  # it has no share
    server.engines[2].error = ModelFailedError("no")
    assert server.predict("x").status_code == 500
    assert health(server) == (503, False)
    server.engines[2].error = None
    assert health(server) == (200, True)


def test_health_and_predictions_are_503_while_nothing_is_loaded(server: InProcess) -> None:
    server.versions.applied = type(server.versions.applied)()
    server.versions.source.wanted = type(server.versions.applied)()
    assert health(server) == (503, False)
    answer = server.predict("x")
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (
        503,
        {"error": "no version is loaded yet"},
        "5",
    )


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "seqline.serving")
    return caplog


def test_a_request_is_logged_with_its_version_and_id_but_without_its_texts(
    server: InProcess, log: pytest.LogCaptureFixture
) -> None:
    body = {"instances": ["secret", "words"]}
    client.post(server.route, json=body, headers={"X-Request-Id": "r-1"})
    server.engines[1].error = ModelFailedError("no")
    client.post(server.route, json=body)
    client.post(server.route, json={"instances": ["secret" * 50]})
    client.post(server.route, json={"instances": ["secret"], "stream": True})
    client.post(server.route, content=b'{"instances": ["secret", 3]}')
    entries = [entry for entry in logged(log) if "interface" in entry]
    first = entries[0]
    assert {name: first[name] for name in ("version", "result", "texts", "characters", "request_id")} == {
        "version": "1",
        "result": "ok",
        "texts": 2,
        "characters": 11,
        "request_id": "r-1",
    }
    assert [entry["result"] for entry in entries] == ["ok", "failed", "too_large", "invalid", "invalid"]
    assert "secret" not in json.dumps(logged(log))
    assert "words" not in json.dumps(logged(log))


def test_texts_are_logged_on_request(log: pytest.LogCaptureFixture) -> None:
    with in_process({1: StandInEngine()}, log_texts=True) as server:
        server.predict("secret")
    assert [entry["inputs"] for entry in logged(log) if "inputs" in entry] == [["secret"]]
