"""The local back end against a server in this process."""

import json
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from seqline.endpoints import local as module
from seqline.endpoints.back_end import RefusedError
from seqline.endpoints.local import LocalBackEnd
from seqline.endpoints.local_endpoint import Endpoint, Settings
from seqline.endpoints.rollout import roll_back
from seqline.endpoints.sampling import Sampling
from seqline.errors import UserError
from seqline.serving.sources import EndpointSource
from tests.stand_ins.server import on_loopback


def test_a_deployment_changes_what_a_running_server_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint(tmp_path / "demo")
    endpoint.write(Settings("demo", "127.0.0.1", 8501, sampling=Sampling(0.5)))
    monkeypatch.setattr(Endpoint, "process", lambda self: 1)
    LocalBackEnd(endpoint, 0).prepare()
    before = EndpointSource(endpoint).desired().sampling
    assert before == Sampling(0.5, folder=str(tmp_path / "demo" / "samples"))
    LocalBackEnd(endpoint, 0, sampling=Sampling(0.1, texts=True, folder="elsewhere")).prepare()
    assert EndpointSource(endpoint).desired().sampling == Sampling(0.1, texts=True, folder="elsewhere")
    LocalBackEnd(endpoint, 0, sampling=Sampling()).prepare()
    assert not EndpointSource(endpoint).desired().sampling.share


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def back_end(tmp_path: Path, clock: Clock) -> Iterator[LocalBackEnd]:
    """A server that applies endpoint.json at once and takes 125 ms for an answer; the text "bad" is an error."""
    endpoint = Endpoint(tmp_path / "demo")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            clock.sleep(0.125)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code = 400 if body["instances"] == ["bad"] else 200
            if body.get("stream") and code == 200:
                self.stream()
                return
            self.send(code, {"predictions": [{"text": "good"}], "error": "the text is bad"})

        def stream(self) -> None:
            self.send_response(200)
            self.end_headers()
            for piece in ("Ein", " Hund"):
                self.wfile.write(f"data: {json.dumps({'index': 0, 'delta': piece})}\n\n".encode())
            done = json.dumps({"predictions": [{"text": "Ein Hund"}]})
            self.wfile.write(f"event: done\ndata: {done}\n\n".encode())

        def do_GET(self) -> None:
            settings = endpoint.read()
            assert settings is not None
            traffic = {str(version): share for version, share in settings.traffic.items()}
            self.send(200, {"traffic": traffic, "loaded": list(settings.traffic), "failures": {}})

        def send(self, code: int, answer: dict) -> None:
            content = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    endpoint.path.mkdir()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
        endpoint.register(tmp_path / name, f"f-{name}", {})
    aliases = {"champion": 2, "previous": 1}
    with on_loopback(Handler) as address:
        endpoint.write(Settings("demo", "127.0.0.1", int(address.rpartition(":")[2]), 0, {1: 0, 2: 100}, aliases))
        endpoint.write_process(os.getpid())
        yield LocalBackEnd(endpoint, 0)


def test_the_latency_is_neither_the_connection_nor_reading_the_endpoints_file(
    back_end: LocalBackEnd, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, read = socket.create_connection, Endpoint.read

    def slow_connection(*arguments: object, **options: object) -> socket.socket:
        clock.sleep(3)
        return connect(*arguments, **options)  # type: ignore[arg-type]

    def slow_read(endpoint: Endpoint) -> Settings | None:
        clock.sleep(7)
        return read(endpoint)

    monkeypatch.setattr(socket, "create_connection", slow_connection)
    monkeypatch.setattr(Endpoint, "read", slow_read)
    assert [reply.milliseconds for reply in back_end.ask(2, ["a", "b"])] == [125.0, 125.0]


def test_an_answer_that_is_an_error_is_quoted(back_end: LocalBackEnd) -> None:
    with pytest.raises(UserError, match=r"version 2 failed its smoke request 'bad' .*the text is bad"):
        back_end.ask(2, ["bad"])


def test_a_rollback_is_in_the_endpoints_record_also_when_the_version_is_removed(back_end: LocalBackEnd) -> None:
    assert roll_back(back_end) == 1
    state = back_end.state()
    assert (state.traffic, state.aliases) == ({1: 100, 2: 0}, {"champion": 1, "previous": 2})
    back_end.remove({2})
    back_end.forget({1})
    assert back_end.state().traffic == {1: 100}
    assert back_end.state().when_rolled_back("f-two")
    assert not back_end.state().when_rolled_back("f-one")
    back_end.mark_rolled_back("f-two", "")
    assert not back_end.state().when_rolled_back("f-two")


def test_an_answer_is_streamed_in_pieces_and_a_refusal_has_the_servers_message(back_end: LocalBackEnd) -> None:
    assert list(back_end.stream("A dog", {"sampling": True})) == ["Ein", " Hund"]
    with pytest.raises(RefusedError, match="the text is bad"):
        list(back_end.stream("bad"))
