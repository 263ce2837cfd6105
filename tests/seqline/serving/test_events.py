"""Streamed answers over a real connection, from an engine with fixed outputs."""

import contextlib
import itertools
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from seqline.serving.engine import ModelFailedError
from tests.servers import InProcess, StandInEngine, client, in_process, until

Served = tuple[StandInEngine, InProcess]


def streaming() -> StandInEngine:
    return StandInEngine(signatures=("serving_default", "stream_start", "stream_next"))


def endless() -> Iterator[list[str]]:
    return (["Ein" * min(number, 50)] for number in itertools.count(1))


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    engine = streaming()
    with in_process({7: engine}) as server:
        yield engine, server


def read_events(server: InProcess, texts: int = 1) -> list[tuple[str, Any]]:
    answer = server.predict(*["x"] * texts, stream=True)
    assert answer.status_code == 200
    assert answer.headers["x-model-version"] == "7"
    events = []
    for block in answer.text.split("\n\n")[:-1]:
        *kind, data = block.split("\n")
        events.append((kind[0].removeprefix("event: ") if kind else "", json.loads(data.removeprefix("data: "))))
    return events


def test_deltas_add_up_to_the_answers_of_done(served: Served) -> None:
    engine, server = served
    engine.steps = [["Ein", ""], ["Ein", "Zwei"], ["Ein Hund", "Zwei"]]
    assert read_events(server, 2) == [
        ("", {"index": 0, "delta": "Ein"}),
        ("", {"index": 1, "delta": "Zwei"}),
        ("", {"index": 0, "delta": " Hund"}),
        ("done", {"predictions": [{"text": "Ein Hund", "score": -0.5}, {"text": "Zwei", "score": -0.5}]}),
    ]


def test_an_incomplete_character_is_held_back(served: Served) -> None:
    engine, server = served
    engine.steps = [["gr\ufffd"], ["gr\ufffd\ufffd"], ["grün"], ["grün\ufffd"]]
    deltas = [event["delta"] for kind, event in read_events(server) if not kind]
    assert deltas == ["gr", "ün", "\ufffd"]  # the last one stayed incomplete


def test_an_error_before_the_first_token_has_a_status_and_a_later_one_is_an_event(served: Served) -> None:
    engine, server = served
    engine.steps = [ModelFailedError("no")]
    assert server.predict("x", stream=True).status_code == 500
    engine.steps = [["Ein"], ModelFailedError("no")]
    assert read_events(server) == [("", {"index": 0, "delta": "Ein"}), ("error", {"error": "the model failed: no"})]


def test_a_stream_ends_at_the_time_limit() -> None:
    engine = streaming()
    engine.steps = endless()
    with in_process({7: engine}, seconds=0.5) as server:
        assert read_events(server)[-1] == ("error", {"error": "not answered within 0.5 s"})


def test_a_stream_is_closed_when_its_client_disconnects(served: Served) -> None:
    engine, server = served
    engine.closed.clear()
    engine.steps = endless()
    with client.stream("POST", server.route, json={"instances": ["x"], "stream": True}) as answer:
        next(answer.iter_lines())
    assert engine.closed.wait(60)


def test_a_stream_without_texts_is_rejected(served: Served) -> None:
    engine, server = served
    engine.steps = []
    response = server.predict(stream=True)
    assert (response.status_code, response.json()["error"]) == (
        400,
        "instances: there is no text to stream an answer for",
    )


def stalled(server: InProcess) -> socket.socket:
    """A connection whose client sends a request for a stream, and reads nothing of it."""
    connection = socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0), 60)
    body = b'{"instances": ["x"], "stream": true}'
    connection.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def large_steps() -> list[list[str]]:
    """More than the buffers of a connection hold; every step has the text of the one before and more."""
    return [["x" * 2**20 * number] for number in range(1, 17)]


def test_a_reader_that_stalls_holds_no_stream_and_gets_the_whole_answer_in_the_end() -> None:
    engine = streaming()
    engine.steps = large_steps()
    with in_process({7: engine}, streams=1) as server, stalled(server) as connection:
        assert engine.closed.wait(60)  # the model is done, though nothing was read
        engine.steps = [["Ein"]]
        until(lambda: server.predict("x", stream=True).status_code == 200)
        answer = bytearray()
        while not answer.endswith(b"0\r\n\r\n"):
            answer += connection.recv(2**20)
        *deltas, done = (json.loads(line[6:]) for line in answer.split(b"\n") if line.startswith(b"data: "))
        assert sum(len(event["delta"]) for event in deltas) == len(done["predictions"][0]["text"]) == 2**24


def test_a_reader_that_does_not_read_in_time_is_disconnected() -> None:
    engine = streaming()
    engine.steps = large_steps()
    with in_process({7: engine}, send_seconds=0.2) as server, stalled(server) as connection:
        assert engine.closed.wait(60)
        until(lambda: not server.connections)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(2**20):
                answer += part
        assert answer
        assert b"event: done" not in answer


def test_a_stream_has_its_own_limit_of_texts(served: Served) -> None:
    engine, server = served
    engine.steps = [["Ein"] * 8]
    assert len(read_events(server, 8)) == 9
    response = server.predict(*["x"] * 9, stream=True)
    assert (response.status_code, response.json()["error"]) == (413, "9 texts in one stream; the limit is 8")
    assert server.predict(*["x"] * 9).status_code == 200
