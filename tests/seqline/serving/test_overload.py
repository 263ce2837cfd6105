"""Overload and shutdown, over real connections to a real process with a slow model."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import grpc
import httpx
import pytest

from seqline.serving import grpc_messages as messages
from tests.servers import Server, running

pytestmark = pytest.mark.e2e

# A text with "slow" takes a second, two are in flight, four may be queued, and the time limit is 1.5 seconds.
LIMITS = ("--max-batch", "1", "--max-queue", "4", "--max-seconds", "1.5")


@pytest.fixture(scope="module")
def server(toy_models: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("overload"), str(toy_models.slow), *LIMITS) as server:
        yield server


def predict(server: Server, text: str, timeout: float = 30) -> httpx.Response:
    return httpx.post(server.route, json={"instances": [text]}, timeout=timeout)


def wait_idle(server: Server) -> None:
    deadline = time.monotonic() + 30
    while predict(server, "QUICK").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_burst_is_answered_rejected_at_once_or_timed_out_and_the_next_request_is_answered(server: Server) -> None:
    started = time.monotonic()
    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(lambda number: predict(server, f"slow {number}"), range(20)))
    by_status = {status: [a for a in answers if a.status_code == status] for status in (200, 429, 504)}
    assert sum(map(len, by_status.values())) == 20
    assert len(by_status[200]) >= 2
    assert len(by_status[429]) >= 8
    assert by_status[504]
    assert time.monotonic() - started < 20
    for rejected in by_status[429]:
        assert 1 <= int(rejected.headers["retry-after"]) <= 60
        assert rejected.json()["error"].startswith("too many requests are waiting; try again in")
    for timed_out in by_status[504]:
        assert timed_out.json() == {"error": "not answered within 1.5 s"}
    wait_idle(server)
    assert predict(server, "QUICK").json()["predictions"][0]["text"] == "quick"


def test_grpc_has_a_retry_time_and_a_deadline_status(server: Server) -> None:
    def request(text: str) -> grpc.Call:
        message = messages.PredictRequest()
        message.model_spec.name = "model"
        tensor = message.inputs.add(key="text").value
        tensor.dtype = messages.DT_STRING
        tensor.tensor_shape.dim.add(size=1)
        tensor.string_val.append(text.encode())
        return call.future(message.SerializeToString())

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        errors = [future.exception() for future in [request(f"slow {number}") for number in range(12)]]
    codes = [error.code() for error in errors if error]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes
    assert grpc.StatusCode.DEADLINE_EXCEEDED in codes
    busy = next(error for error in errors if error and error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert 1 <= int(dict(busy.trailing_metadata())["retry-after"]) <= 60
    wait_idle(server)


def test_texts_of_a_disconnected_client_leave_the_queue(server: Server) -> None:
    wait_idle(server)
    with ThreadPoolExecutor(6) as clients:
        gone = [clients.submit(predict, server, "slow", 0.3) for _ in range(6)]
        assert all(isinstance(one.exception(), httpx.ReadTimeout) for one in gone)
    assert predict(server, "QUICK").status_code == 200  # a full queue would reject it
    assert '"result": "gone"' in server.read_log()


def test_on_sigterm_requests_in_flight_are_completed_and_new_ones_are_refused(
    toy_models: SimpleNamespace, tmp_path: Path
) -> None:
    with running(tmp_path, str(toy_models.slow), "--max-batch", "1") as server, ThreadPoolExecutor(6) as clients:
        requests = [clients.submit(predict, server, f"slow {number}") for number in range(6)]
        time.sleep(0.5)
        os.kill(server.pid, signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(httpx.ConnectError):
            predict(server, "late")
        assert [answer.result().json()["predictions"][0]["text"] for answer in requests] == [
            f"slow {number}" for number in range(6)
        ]
    assert "all requests were completed" in server.read_log()
