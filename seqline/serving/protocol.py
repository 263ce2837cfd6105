"""HTTP connections with limits of their number, the size of headers, and the time to send and to read."""

import asyncio
import http
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from seqline.serving.limits import Limits


class LimitedProtocol(HttpToolsProtocol):
    """A connection; `limited` sets its limits."""

    limits = Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None
        self._head = 0  # bytes of the URL and of all headers
        self._unparsed = 0  # bytes since the parser has found something: a part of a header
        self._found = False
        self._refusal = http.HTTPStatus.BAD_REQUEST
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accepts a connection; at the limit it replaces another one, or is refused."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._await_request()
        if len(self.connections) > self.limits.connections and not self._replace_another():
            self._refuse(http.HTTPStatus.SERVICE_UNAVAILABLE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the timers."""
        super().connection_lost(exc)
        self._request_arrived()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parses data; the time of a request counts from its first byte."""
        size = self.limits.header_bytes
        for start in range(0, len(data), size):  # in pieces, because the parser keeps a part of a header
            if self.transport.is_closing():
                return
            if self._receiving is None:
                self._await_request()
            self._found = False
            piece = data[start : start + size]
            super().data_received(piece)
            self._unparsed = 0 if self._found else self._unparsed + len(piece)
            if self._unparsed > size and not self.transport.is_closing():
                self._refuse(http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:
        """Refuses an invalid request, with the status of the limit if it exceeds one."""
        self._refuse(self._refusal)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head = 0
        if self._receiving is None:
            self._await_request()
        super().on_message_begin()
        self._parsed()

    def on_url(self, url: bytes) -> None:
        """A part of the URL."""
        super().on_url(url)
        self._parsed(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer of a body in chunks."""
        super().on_header(name, value)
        self._parsed(len(name) + len(value))

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        super().on_body(body)
        self._parsed()

    def on_message_complete(self) -> None:
        """A request is complete."""
        super().on_message_complete()
        self._parsed()
        self._request_arrived()

    def on_response_complete(self) -> None:
        """A response is complete."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client does not read as fast as the server writes."""
        super().pause_writing()
        if self._sending is None:
            self._sending = self.loop.call_later(self.limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        if self._sending:
            self._sending.cancel()
            self._sending = None

    def _parsed(self, head: int = 0) -> None:
        self._found = True
        self._head += head
        if self._head > self.limits.header_bytes:
            self._refusal = http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError  # ends the parser, which then calls `send_400_response`

    def _await_request(self) -> None:
        self._receiving = self.loop.call_later(self.limits.receive_seconds, self._too_slow)

    def _request_arrived(self) -> None:
        if self._receiving:
            self._receiving.cancel()
            self._receiving = None

    def _too_slow(self) -> None:
        if self.pipeline:  # the client's next request is not read before its first one is answered
            self._await_request()
        elif self.cycle and self.cycle.response_started and self.cycle.more_body:
            self.transport.abort()  # the response has begun, so there is no other status
        else:
            self._refuse(http.HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: http.HTTPStatus) -> None:
        message = status.phrase.encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\nContent-Length: {len(message)}\r\n"
        )
        self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + message)
        self.transport.close()

    def _replace_another(self) -> bool:
        """Closes a connection: one whose last bytes nobody reads, or the one that was idle longest."""
        others = [other for other in self.connections if isinstance(other, LimitedProtocol) and other is not self]
        idle = [other for other in others if other.transport.is_closing() or other._idle]
        if not idle:
            return False
        min(idle, key=lambda other: (not other.transport.is_closing(), other._idle_since)).transport.abort()
        return True

    @property
    def _idle(self) -> bool:
        return self._receiving is None and (self.cycle is None or self.cycle.response_complete)


def limited(limits: Limits) -> type[LimitedProtocol]:
    """Creates the class of a server's connections.

    Args:
        limits: The server's limits.
    """

    class Limited(LimitedProtocol):
        pass

    Limited.limits = limits
    return Limited
