"""Invalid bodies and schemathesis, with a real server."""

import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.nightly import NIGHTLY
from tests.servers import Server, client

pytestmark = pytest.mark.e2e(seconds=60)

BODIES = 10_000
VALID = b'{"instances": ["a"]}'


def random_body(chooser: random.Random) -> bytes:
    """A random body, most of them invalid."""
    value = chooser.choice(
        [
            b"NaN",
            b"-Infinity",
            b"1e999",
            b"null",
            b"true",
            b"{}",
            b"[]",
            b"3",
            b'"x"',
            b'{"text": 1}',
            b'{"b64": "~"}',
            b'"\xff\xfe"',
            b'"\\ud800"',
            b'"\\u0000"',
            b'"' + b"y" * chooser.choice([0, 9, 30000]) + b'"',
            b'{"a": [{}]}',
        ]
    )
    field = chooser.choice([b"instances", b"inputs", b"parameters", b"signature_name", b"\xc3\x28", b""])
    return chooser.choice(
        [
            b"[" * chooser.randint(1, 50_000),
            b'{"instances": ' + b'{"text": ' * chooser.randint(1, 5000),
            b'{"' + field + b'": ' + value + b"}",
            b'{"instances": [' + value + b', "a"]}',
            b'{"instances": ["a"], "' + field + b'": ' + value + b"}",
            VALID[: chooser.randint(0, len(VALID))],
            bytes(chooser.choices(range(256), k=chooser.randint(0, 200))),
        ]
    )


def exchange(
    port: int, body: bytes, declared: int | None, reused: socket.socket | None
) -> tuple[int, socket.socket | None]:
    """Sends a request; returns its status (0 if the server waits for more) and the connection, if it stays open."""
    connection = reused or socket.create_connection(("127.0.0.1", port), 30)
    length = len(body) if declared is None else declared
    connection.sendall(
        b"POST /v1/models/model:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length + body
    )
    if length > len(body):
        connection.close()
        return 0, None
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, rest = answer.partition(b"\r\n\r\n")
    missing = int(head.lower().split(b"content-length:")[1].split()[0]) - len(rest)
    while missing > 0:
        missing -= len(connection.recv(65536))
    if length != len(body) or b"connection: close" in head.lower():
        connection.close()
        return int(head.split()[1]), None
    return int(head.split()[1]), connection


def test_ten_thousand_invalid_bodies_are_rejected_and_valid_ones_answered(server: Server) -> None:
    chooser = random.Random(1)
    seen: dict[int, int] = {}
    connection = None
    for number in range(BODIES):
        body = random_body(chooser)
        declared = len(body) + chooser.choice([1, -1, 1000]) if body and chooser.random() < 0.05 else None
        status, connection = exchange(server.port, body, declared, connection)
        seen[status] = seen.get(status, 0) + 1
        if number % 100 == 0:
            status, connection = exchange(server.port, VALID, None, connection)
            assert status == 200
    assert {status for status in seen if status >= 500} == set()
    assert seen[400] > BODIES / 2
    assert client.post(server.route, content=VALID).json()["predictions"][0]["text"] == "A"


def test_schemathesis_finds_no_server_error(server: Server, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json"]
    command += ["--checks", "not_a_server_error,response_schema_conformance,content_type_conformance"]
    command += ["--max-examples", "25" if NIGHTLY else "8", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
