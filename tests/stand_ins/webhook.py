"""A receiver of webhooks on loopback: it sends the configured answers and records the requests."""

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.stand_ins.server import on_loopback


@dataclass
class Receiver:
    """A receiver.

    Attributes:
        url: Its address, with a secret in the path.
        answers: The next answers: a status, or a status and headers; "break" to close the connection. Then 200.
        received: Path, headers and JSON of each request.
    """

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    received: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextlib.contextmanager
    def running(cls, secret: str, answers: Sequence[Any] = ()) -> Iterator["Receiver"]:
        """Starts it on a free port."""
        receiver = cls(answers=list(answers))

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((self.path, dict(self.headers), json.loads(body)))
                answer = receiver.answers.pop(0) if receiver.answers else 200
                if answer == "stall":
                    # Byte by byte, so that no time limit of the socket ends it.
                    while not receiver.stalled.wait(0.05):
                        with contextlib.suppress(OSError):
                            self.wfile.write(b"H")
                if answer in ("break", "stall"):
                    self.close_connection = True
                    return
                code, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(code)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        with on_loopback(Handler) as address:
            receiver.url = f"http://{address}/services/{secret}"
            try:
                yield receiver
            finally:
                receiver.stalled.set()
