"""Requests as clients, proxies and load balancers send them."""

import gzip
import json
import socket
from collections.abc import Iterator

import pytest

from tests.servers import InProcess, StandInEngine, client, in_process

BODY = b'{"instances": ["a"]}'
ANSWER = {"predictions": [{"text": "a", "score": 0.0}]}


@pytest.fixture(scope="module")
def server() -> Iterator[InProcess]:
    engine = StandInEngine(signatures=("serving_default", "stream_start", "stream_next"))
    engine.steps = [["a"]]
    with in_process({1: engine}, body_bytes=1_000_000) as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Encoding": "gzip"}, gzip.compress(BODY)),
        ({"Content-Encoding": "GZIP"}, gzip.compress(BODY[:5]) + gzip.compress(BODY[5:])),
        ({"Content-Encoding": "identity", "Content-Type": "application/json; charset=utf-8"}, BODY),
        ({"Content-Type": "text/plain"}, b"\xef\xbb\xbf" + BODY),
    ],
)
def test_a_body_is_read_as_its_headers_say(server: InProcess, headers: dict[str, str], content: bytes) -> None:
    response = client.post(server.route, content=content, headers=headers)
    assert (response.status_code, response.json()) == (200, ANSWER)


@pytest.mark.parametrize(
    ("headers", "content", "status", "message"),
    [
        (
            {"Content-Encoding": "gzip"},
            gzip.compress(bytes(40_000_000)),
            413,
            "the unpacked body has more than 1000000",
        ),
        ({"Content-Encoding": "gzip"}, BODY, 400, "body: is not gzip"),
        ({"Content-Encoding": "br"}, BODY, 415, "Content-Encoding: br is not supported; send gzip"),
        (
            {"Content-Type": "application/json; charset=utf-16"},
            BODY,
            415,
            "charset utf-16 is not supported; send UTF-8",
        ),
        ({}, json.dumps({"instances": ["a"]}).encode("utf-16"), 400, "body: is not in UTF-8"),
    ],
)
def test_a_body_that_is_encoded_otherwise_is_refused_with_the_reason(
    server: InProcess, headers: dict[str, str], content: bytes, status: int, message: str
) -> None:
    response = client.post(server.route, content=content, headers=headers)
    assert response.status_code == status
    assert message in response.json()["error"]
    assert (response.headers.get("accept-encoding") == "gzip, identity") == (status == 415)
    assert client.post(server.route, content=BODY).json() == ANSWER


def test_a_packed_body_is_streamed_too(server: InProcess) -> None:
    content = gzip.compress(b'{"instances": ["a"], "stream": true, "parameters": null}')
    response = client.post(server.route, content=content, headers={"Content-Encoding": "gzip"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert '"delta":"a"' in response.text


ROUTES = [
    "/healthz",
    "/",
    "/metrics",
    "/openapi.json",
    "/v1/traffic",
    "/v1/models/m",
    "/v1/models/m/metadata",
    "/v1/models/m/versions/1",
]


@pytest.mark.parametrize("route", ROUTES)
def test_head_is_answered_like_get_without_the_body(server: InProcess, route: str) -> None:
    got, asked = client.get(server.url + route), client.head(server.url + route)
    assert (got.status_code, asked.status_code) == (200, 200)
    assert asked.content == b""
    assert asked.headers["content-type"] == got.headers["content-type"]
    # The connection is in order: the next answer is whole.
    assert client.get(server.url + "/healthz").json()["ready"] is True


def test_head_of_what_does_not_exist_is_an_error(server: InProcess) -> None:
    assert client.head(f"{server.url}/v1/models/other").status_code == 404
    assert client.head(f"{server.url}/v1/models/m:predict").status_code == 404


@pytest.mark.parametrize("route", ROUTES[1:])
def test_a_slash_at_the_end_makes_no_difference(server: InProcess, route: str) -> None:
    assert client.get(f"{server.url}{route.rstrip('/')}/").status_code == 200
    assert client.post(f"{server.route}/", content=BODY).json() == ANSWER


@pytest.mark.parametrize(("length", "status"), [(len(BODY), b"100"), (2_000_000, b"413")])
def test_a_client_that_expects_to_continue_is_told_so_before_it_sends(
    server: InProcess, length: int, status: bytes
) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        head = (
            f"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
        connection.sendall(head.encode())
        answer = connection.makefile("rb")
        assert answer.readline().split()[1] == status
        if status == b"100":
            assert answer.readline() == b"\r\n"
            connection.sendall(BODY)
            assert answer.readline().split()[1] == b"200"
