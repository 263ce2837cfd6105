"""Streamed answers over a real connection, from an engine with fixed outputs."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn

from seqline.serving.answers import Answer
from seqline.serving.app import make_app
from seqline.serving.batching import Batcher
from seqline.serving.engine import ModelFailedError
from seqline.serving.limits import Limits
from seqline.serving.metrics import Metrics
from seqline.serving.service import Service
from seqline.serving.versions import Loaded

SIGNATURES = {"serving_default": {}, "stream_start": {}, "stream_next": {}}


class Writer:
    """An engine that streams the answers in `steps`; an exception among them is raised."""

    lost = False
    metadata = {"json": SIGNATURES, "description": {}}  # noqa: RUF012

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.closed = threading.Event()

    async def stream(self, texts: list[str], parameters: Any) -> AsyncGenerator[list[Answer], None]:
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                yield [Answer(text, -0.5) for text in step]
                await asyncio.sleep(0.01)
        finally:
            self.closed.set()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Writer, str]]:
    engine = Writer()
    limits = Limits(seconds=2)
    loaded = Loaded(7, Batcher(engine, limits, 1))  # type: ignore[arg-type]
    versions = SimpleNamespace(choose=lambda version, alias: loaded, loaded=[loaded])
    app = make_app(Service("m", versions, limits, Metrics()))  # type: ignore[arg-type]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, http="httptools"))
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
        thread.start()
        yield engine, f"http://127.0.0.1:{listener.getsockname()[1]}/v1/models/m:predict"
        server.should_exit = True
        thread.join()


def read_events(url: str, texts: int = 1) -> list[tuple[str, Any]]:
    answer = httpx.post(url, json={"instances": ["x"] * texts, "stream": True})
    assert answer.status_code == 200
    assert answer.headers["x-model-version"] == "7"
    events = []
    for block in answer.text.split("\n\n")[:-1]:
        *kind, data = block.split("\n")
        events.append((kind[0].removeprefix("event: ") if kind else "", json.loads(data.removeprefix("data: "))))
    return events


def test_deltas_add_up_to_the_answers_of_done(served: tuple[Writer, str]) -> None:
    engine, url = served
    engine.steps = [["Ein", ""], ["Ein", "Zwei"], ["Ein Hund", "Zwei"]]
    assert read_events(url, 2) == [
        ("", {"index": 0, "delta": "Ein"}),
        ("", {"index": 1, "delta": "Zwei"}),
        ("", {"index": 0, "delta": " Hund"}),
        ("done", {"predictions": [{"text": "Ein Hund", "score": -0.5}, {"text": "Zwei", "score": -0.5}]}),
    ]


def test_an_incomplete_character_is_held_back(served: tuple[Writer, str]) -> None:
    engine, url = served
    engine.steps = [["gr\ufffd"], ["gr\ufffd\ufffd"], ["grün"], ["grün\ufffd"]]
    deltas = [event["delta"] for kind, event in read_events(url) if not kind]
    assert deltas == ["gr", "ün", "\ufffd"]  # the last one stayed incomplete


def test_an_error_before_the_first_token_has_a_status_and_a_later_one_is_an_event(
    served: tuple[Writer, str],
) -> None:
    engine, url = served
    engine.steps = [ModelFailedError("no")]
    assert httpx.post(url, json={"instances": ["x"], "stream": True}).status_code == 500
    engine.steps = [["Ein"], ModelFailedError("no")]
    assert read_events(url) == [("", {"index": 0, "delta": "Ein"}), ("error", {"error": "the model failed: no"})]


def test_a_stream_ends_at_the_time_limit(served: tuple[Writer, str]) -> None:
    engine, url = served
    engine.steps = [["Ein" * number] for number in range(1, 1000)]
    assert read_events(url)[-1] == ("error", {"error": "not answered within 2 s"})


def test_a_stream_is_closed_when_its_client_disconnects(served: tuple[Writer, str]) -> None:
    engine, url = served
    engine.closed.clear()
    engine.steps = [["Ein" * number] for number in range(1, 1000)]
    with httpx.stream("POST", url, json={"instances": ["x"], "stream": True}) as answer:
        next(answer.iter_lines())
    assert engine.closed.wait(1)


def test_a_stream_without_texts_is_rejected(served: tuple[Writer, str]) -> None:
    engine, url = served
    engine.steps = []
    response = httpx.post(url, json={"instances": [], "stream": True})
    assert (response.status_code, response.json()["error"]) == (
        400,
        "instances: there is no text to stream an answer for",
    )
