"""Overload, over real connections; the model answers when the test allows it."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import grpc
import httpx
import pytest

from seqline.serving import grpc_messages as messages
from seqline.serving.engine import ModelFailedError
from tests.servers import InProcess, StandInEngine, in_process, until

# Two texts are in flight and four in the queue.
LIMITS = {"batch": 1, "queue": 4, "streams": 1}


@pytest.fixture
def engine() -> StandInEngine:
    return StandInEngine()


@pytest.fixture
def server(engine: StandInEngine) -> Iterator[InProcess]:
    with in_process({1: engine}, **LIMITS) as server:
        yield server


@pytest.fixture
def hurried(engine: StandInEngine) -> Iterator[InProcess]:
    """A server with a short time limit."""
    with in_process({1: engine}, **LIMITS, seconds=0.2) as server:
        yield server


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def waiting(server: InProcess) -> int:
    return int(server.versions.loaded[0].batcher.waiting)


def done(requests: list[Future[httpx.Response]]) -> list[httpx.Response]:
    return [request.result() for request in requests if request.done()]


def test_of_a_burst_the_queue_is_answered_and_the_rest_rejected_at_once(
    server: InProcess, engine: StandInEngine, clients: ThreadPoolExecutor
) -> None:
    engine.open.clear()
    requests = [clients.submit(server.predict, str(number)) for number in range(20)]
    until(lambda: len(done(requests)) == 14)  # while the model is busy
    for rejected in done(requests):
        assert rejected.status_code == 429
        assert 1 <= int(rejected.headers["retry-after"]) <= 60
        assert rejected.json() == {
            "error": f"too many requests are waiting; try again in {rejected.headers['retry-after']} s"
        }
    engine.open.set()
    answers = [request.result() for request in requests]
    assert sorted(answer.status_code for answer in answers) == [200] * 6 + [429] * 14
    assert server.predict("next").json()["predictions"][0]["text"] == "next"


def test_a_request_that_the_queue_can_never_hold_is_too_large(server: InProcess) -> None:
    refused = server.predict(*"abcde")
    assert (refused.status_code, refused.json()) == (413, {"error": "5 texts in one request; the queue holds 4"})
    assert "retry-after" not in refused.headers
    assert server.predict(*"abcd", " ").status_code == 200  # a blank text is not queued


def test_requests_time_out_and_leave_the_queue(
    hurried: InProcess, engine: StandInEngine, clients: ThreadPoolExecutor
) -> None:
    engine.open.clear()
    answers = list(clients.map(hurried.predict, "abcdef"))
    assert [answer.status_code for answer in answers] == [504] * 6
    assert {answer.text for answer in answers} == {'{"error":"not answered within 0.2 s"}'}
    assert waiting(hurried) == 0
    engine.open.set()
    until(lambda: hurried.predict("next").status_code == 200)  # the two in flight end first


def test_texts_of_a_disconnected_client_leave_the_queue(
    server: InProcess, engine: StandInEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.open.clear()
    caplog.set_level("INFO", "seqline.serving")
    body = b'{"instances": ["a"]}'
    head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    address = ("127.0.0.1", httpx.URL(server.url).port)
    import socket

    connections = [socket.create_connection(address) for _ in range(6)]
    for connection in connections:
        connection.sendall(head + body)
    until(lambda: waiting(server) == 4)
    for connection in connections:
        connection.close()
    until(lambda: waiting(server) == 0)
    until(lambda: sum(getattr(one, "fields", {}).get("result") == "gone" for one in caplog.records) == 6)


def call(server: InProcess, text: str, channel: grpc.Channel) -> grpc.Future:
    message = messages.PredictRequest()
    message.model_spec.name = "m"
    tensor = message.inputs.add(key="text").value
    tensor.dtype = messages.DT_STRING
    tensor.tensor_shape.dim.add(size=1)
    tensor.string_val.append(text.encode())
    return channel.unary_unary("/tensorflow.serving.PredictionService/Predict").future(message.SerializeToString())


def test_grpc_has_a_retry_time(server: InProcess, engine: StandInEngine) -> None:
    engine.open.clear()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        calls = [call(server, str(number), channel) for number in range(12)]
        until(lambda: sum(one.done() for one in calls) == 6)
        busy = [one.exception() for one in calls if one.done()]
        engine.open.set()
        assert [one.exception() for one in calls if one.exception() not in busy] == [None] * 6
    assert {error.code() for error in busy} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert all(1 <= int(dict(error.trailing_metadata())["retry-after"]) <= 60 for error in busy)


def test_grpc_has_the_status_of_a_time_limit(hurried: InProcess, engine: StandInEngine) -> None:
    engine.open.clear()
    with grpc.insecure_channel(f"127.0.0.1:{hurried.grpc_port}") as channel:
        error = call(hurried, "a", channel).exception()
    assert (error.code(), error.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "not answered within 0.2 s")


def test_streams_above_the_limit_get_429(clients: ThreadPoolExecutor) -> None:
    engine = StandInEngine(signatures=("serving_default", "stream_start", "stream_next"))
    engine.steps = [["Ein"], ["Ein Hund"]]
    engine.open.clear()
    with in_process({1: engine}, **LIMITS) as server:
        first = clients.submit(server.predict, "a", stream=True)
        assert engine.started.acquire(timeout=60)
        second = server.predict("b", stream=True)
        assert (second.status_code, second.headers["retry-after"]) == (429, "1")
        engine.open.set()
        assert first.result().text.endswith('data: {"predictions":[{"text":"Ein Hund","score":-0.5}]}\n\n')
        until(lambda: server.predict("c", stream=True).status_code == 200)


@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_model_is_an_error_of_the_server(stream: bool) -> None:
    engine = StandInEngine(signatures=("serving_default", "stream_start", "stream_next"))
    engine.error, engine.steps = ModelFailedError("broken"), [ModelFailedError("broken")]
    with in_process({1: engine}) as server:
        answer = server.predict("a", stream=stream)
    assert (answer.status_code, answer.json()) == (500, {"error": "the model failed: broken"})
