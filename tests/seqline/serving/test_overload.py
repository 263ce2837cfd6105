"""More than a server can do, and its end: over real connections to a real process with a slow model."""

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

# A text with "slow" takes a second, two are under way at once, four may wait, nobody longer than one and a half.
LIMITS = ("--max-batch", "1", "--max-queue", "4", "--max-seconds", "1.5")


@pytest.fixture(scope="module")
def server(toy_models: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("overload"), str(toy_models.slow), *LIMITS) as server:
        yield server


def ask(server: Server, text: str, timeout: float = 30) -> httpx.Response:
    return httpx.post(server.route, json={"instances": [text]}, timeout=timeout)


def wait_idle(server: Server) -> None:
    deadline = time.monotonic() + 30
    while ask(server, "QUICK").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_burst_is_answered_refused_at_once_or_given_up_in_time_and_the_next_is_answered(server: Server) -> None:
    started = time.monotonic()
    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(lambda number: ask(server, f"slow {number}"), range(20)))
    by_status = {status: [a for a in answers if a.status_code == status] for status in (200, 429, 504)}
    assert sum(map(len, by_status.values())) == 20
    assert len(by_status[200]) >= 2
    assert len(by_status[429]) >= 8
    assert by_status[504]
    assert time.monotonic() - started < 20
    for refused in by_status[429]:
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["error"].startswith("too many requests wait; try again in")
    for late in by_status[504]:
        assert late.json() == {"error": "not answered within 1.5 s"}
    wait_idle(server)
    assert ask(server, "QUICK").json()["predictions"][0]["text"] == "quick"


def test_grpc_says_when_to_come_back_and_when_it_gave_up(server: Server) -> None:
    def request(text: str) -> grpc.Call:
        asked = messages.PredictRequest()
        asked.model_spec.name = "model"
        tensor = asked.inputs.add(key="text").value
        tensor.dtype = messages.DT_STRING
        tensor.tensor_shape.dim.add(size=1)
        tensor.string_val.append(text.encode())
        return predict.future(asked.SerializeToString())

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        errors = [call.exception() for call in [request(f"slow {number}") for number in range(12)]]
    codes = [error.code() for error in errors if error]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes
    assert grpc.StatusCode.DEADLINE_EXCEEDED in codes
    busy = next(error for error in errors if error and error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert 1 <= int(dict(busy.trailing_metadata())["retry-after"]) <= 60
    wait_idle(server)


def test_what_a_client_that_is_gone_had_asked_leaves_the_queue(server: Server) -> None:
    wait_idle(server)
    with ThreadPoolExecutor(6) as clients:
        gone = [clients.submit(ask, server, "slow", 0.3) for _ in range(6)]
        assert all(isinstance(one.exception(), httpx.ReadTimeout) for one in gone)
    assert ask(server, "QUICK").status_code == 200  # with them in the queue it would be refused
    assert '"result": "gone"' in server.told()


def test_on_sigterm_what_is_under_way_is_answered_and_no_more_is_taken(
    toy_models: SimpleNamespace, tmp_path: Path
) -> None:
    with running(tmp_path, str(toy_models.slow), "--max-batch", "1") as server, ThreadPoolExecutor(6) as clients:
        asked = [clients.submit(ask, server, f"slow {number}") for number in range(6)]
        time.sleep(0.5)
        os.kill(server.pid, signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(httpx.ConnectError):
            ask(server, "late")
        assert [answer.result().json()["predictions"][0]["text"] for answer in asked] == [
            f"slow {number}" for number in range(6)
        ]
    assert "every request was answered" in server.told()
