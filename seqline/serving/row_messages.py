"""Messages between the server and the process that writes samples: marshalled values in length-prefixed frames.

JSON, which the workers get, takes ten times as long for rows. Both ends are the same Python.
"""

import marshal
import socket
from typing import Any

from seqline.serving.answers import LENGTH


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Sends a message; waits as long as the other end does not read.

    Args:
        connection: The socket, which blocks.
        message: Of dictionaries, lists, tuples, strings and numbers.

    Raises:
        OSError: If the other end is gone.
    """
    body = marshal.dumps(message)
    connection.sendall(LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """Waits for a message.

    Args:
        connection: The socket, which blocks.

    Returns:
        The message; None once the other end is closed.
    """
    prefix = _read(connection, LENGTH.size)
    body = prefix and _read(connection, LENGTH.unpack(prefix)[0])
    return dict(marshal.loads(body)) if body else None  # noqa: S302 (the other end is our own process)


def _read(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        try:
            part = connection.recv(size)
        except ConnectionError:
            part = b""
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
