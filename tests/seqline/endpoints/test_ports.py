import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from seqline.endpoints.ports import in_use, is_free


class Other(BaseHTTPRequestHandler):
    """A web server that answers every address with the same JSON."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"name": "other"}')

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def other() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_port_is_free_until_a_program_listens() -> None:
    with socket.socket() as program:
        program.bind(("127.0.0.1", 0))
        port = program.getsockname()[1]
        program.listen()
        assert not is_free(port)
    assert is_free(port)


def test_a_web_server_of_another_kind_is_another_program(other: int) -> None:
    assert in_use(other) == (
        f"port {other} is in use by another program; choose another with --port or targets.laptop.port, or stop that "
        "program"
    )
