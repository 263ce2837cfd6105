"""Streamed answers over a real connection, from an engine with fixed outputs."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from seqline.serving.engine import ModelFailedError
from tests.servers import InProcess, StandInEngine, client, in_process

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
