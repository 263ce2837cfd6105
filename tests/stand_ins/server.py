"""An HTTP server on loopback: one handler, one request at a time, faults on demand."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

Kind = Literal["429", "503", "permission denied", "lost answer", "lost request"]

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


class ApiError(Exception):
    """An answer that is an error, in Google's form.

    Attributes:
        code: The HTTP status.
        message: For the caller to read.
        status: Google's name of the error; the usual one of the HTTP status by default.
    """

    def __init__(self, code: int, message: str, status: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUS.get(code, "UNKNOWN")

    def body(self) -> bytes:
        """The answer's JSON."""
        error = {"code": self.code, "message": self.message, "status": self.status}
        return json.dumps({"error": error}).encode()


@dataclass(frozen=True)
class Request:
    """One HTTP request."""

    verb: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    body: bytes
    code: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Service(Protocol):
    """What a stand-in does with a request."""

    def name(self, request: Request) -> str:
        """The remote procedure that a request calls; an error if there is none."""

    def answer(self, request: Request) -> Answer:
        """Carries a request out."""


@dataclass
class Faults:
    """What is to go wrong: each fault is spent on the next calls of its procedure."""

    waiting: list[tuple[str, Kind]] = field(default_factory=list)

    def add(self, procedure: str, kind: Kind, times: int = 1) -> None:
        """Makes the next calls fail.

        Args:
            procedure: Such as CreateSchedule; "*" for any.
            kind: A lost request is not carried out; a lost answer is carried out, then the connection breaks.
            times: How many calls.
        """
        self.waiting += [(procedure, kind)] * times

    def take(self, procedure: str) -> Kind | None:
        """Spends the next fault of a procedure."""
        for waiting in self.waiting:
            if waiting[0] in {procedure, "*"}:
                self.waiting.remove(waiting)
                return waiting[1]
        return None


ERRORS: dict[Kind, ApiError] = {
    "429": ApiError(429, "Quota exceeded for aiplatform.googleapis.com/requests"),
    "503": ApiError(503, "The service is currently unavailable."),
    "permission denied": ApiError(403, "Permission 'aiplatform.resources.write' denied on resource"),
}


@contextlib.contextmanager
def on_loopback(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serves on a free port of loopback, each connection in a thread.

    Args:
        handler: What answers a connection's requests.

    Yields:
        The address, 127.0.0.1:PORT.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def serving(service: Service, faults: Faults) -> Iterator[str]:
    """Serves on a free port of loopback.

    Args:
        service: What answers.
        faults: What goes wrong.

    Yields:
        The address, http://127.0.0.1:PORT.
    """
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet for an answer: a second one would wait 40 ms for the acknowledgement of the first

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = parse_qsl(parts.query, keep_blank_values=True)
            request = Request(self.command, parts.path, query, headers, self.rfile.read(size))
            with lock:
                answer = self.decide(request)
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.code)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def decide(self, request: Request) -> Answer | None:
            try:
                fault = faults.take(service.name(request))
                if fault == "lost request":
                    return None
                if fault in ERRORS:
                    raise ERRORS[fault]
                answer = service.answer(request)
                return None if fault == "lost answer" else answer
            except ApiError as error:
                return Answer(error.body(), error.code)
            except Exception as error:
                return Answer(ApiError(500, f"the stand-in failed: {error!r}").body(), 500)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any  # noqa: N815 (the names that http.server calls)

        def log_message(self, *_: object) -> None: ...

    with on_loopback(Handler) as address:
        yield f"http://{address}"
