"""Limits of connections, over real connections to a server in this process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse

import httpx
import pytest

from tests.servers import InProcess, StandInEngine, client, in_process, until

GET = b"GET /v1/traffic HTTP/1.1\r\nHost: x\r\n"


@contextmanager
def connected(server: InProcess, sent: bytes = b"") -> Iterator[socket.socket]:
    """A connection on which some bytes were sent."""
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0), 60) as connection:
        connection.sendall(sent)
        yield connection


def read(connection: socket.socket) -> bytes:
    """What the server sends until it closes the connection."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def status(connection: socket.socket) -> int:
    """The status of the response with which the server closes the connection."""
    return int(read(connection).split(b" ")[1])


def answer(connection: socket.socket) -> int:
    """The status of the next response, which is read to its end; the connection stays open."""
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


@pytest.fixture(scope="module")
def small() -> Iterator[InProcess]:
    with in_process({1: StandInEngine()}, header_bytes=1000) as server:
        yield server


@pytest.fixture(scope="module")
def hurried() -> Iterator[InProcess]:
    with in_process({1: StandInEngine()}, receive_seconds=0.3) as server:
        yield server


@pytest.mark.parametrize(
    "request_head",
    [
        GET + b"A: " + b"a" * 3000,  # a header that does not end
        GET + b"A: " + b"a" * 1000 + b"\r\n\r\n",
        GET + b"".join(b"A%d: aaaaaaaa\r\n" % number for number in range(100)),
        b"GET /" + b"a" * 1001,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"".join(b"A%d: aaaaaaaa\r\n" % number for number in range(100)),  # trailers
    ],
)
def test_headers_above_the_limit_are_refused(small: InProcess, request_head: bytes) -> None:
    with connected(small, request_head) as connection:
        assert b" 431 Request Header Fields Too Large\r\n" in read(connection)
    assert client.get(f"{small.url}/v1/traffic").status_code == 200


def test_headers_within_the_limit_are_accepted_on_every_request_of_a_connection(small: InProcess) -> None:
    with httpx.Client() as one:
        for _ in range(5):
            assert one.get(f"{small.url}/v1/traffic", headers={"A": "a" * 700}).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        GET,
        b"POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        GET + b"\r\n" + GET,  # the second request does not end
    ],
)
def test_a_request_that_is_not_sent_in_time_ends_its_connection(hurried: InProcess, sent: bytes) -> None:
    with connected(hurried, sent) as connection:
        assert b"HTTP/1.1 408 Request Timeout\r\n" in read(connection)


def test_an_idle_connection_stays_open_and_a_long_answer_is_no_slow_request(hurried: InProcess) -> None:
    engine = hurried.engines[1]
    engine.open.clear()
    body = b'{"instances": ["a"]}'
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        connected(hurried, GET + b"\r\n") as idle,
        connected(hurried, head + body) as answered,
        connected(hurried) as slow,
    ):
        assert status(slow) == 408  # later than the time limit of the others
        engine.open.set()
        assert answer(answered) == 200
        assert answer(idle) == 200
        idle.sendall(GET + b"\r\n")
        assert answer(idle) == 200


def test_at_the_limit_a_connection_replaces_an_idle_one_and_is_refused_if_all_are_busy() -> None:
    with (
        in_process({1: StandInEngine()}, connections=2) as server,
        connected(server, GET + b"\r\n") as first,
        connected(server, GET) as second,
    ):
        assert answer(first) == 200
        until(lambda: len(server.connections) == 2)
        with connected(server, GET) as third:
            assert read(first) == b""  # idle, so it was closed
            third.sendall(b"\r\n")
            assert answer(third) == 200
            third.sendall(GET)
            second.sendall(b"A: b\r\n")
            until(lambda: all(not one._idle for one in server.connections))
            with connected(server) as fourth:
                assert status(fourth) == 503
            third.sendall(b"\r\n")
            assert answer(third) == 200
