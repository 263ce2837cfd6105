"""A version's process: loads its SavedModel and answers batches that it receives over a socket.

Each version has its own process, so that loading a version does not delay the one that answers, unloading frees all of
its memory, and a crash affects only its version. It ends when the server's end of the socket closes, even if the server
was killed. The messages, encoded by `seqline.serving.answers`:

    server:  {"load": "/models/1", "concurrency": 2, "threads": 1}
    worker:  {"ready": {"metadata": {...}, "tensorflow": "2.21.0"}}  or  {"failed": message}
    server:  {"id": 1, "texts": ["..."], "parameters": {"beam_size": 2}}
    worker:  {"id": 1, "answers": [["...", -0.1, [], false, null]], "seconds": 0.02}  or  {"id": 1, "error": message}
    server:  {"id": 2, "texts": ["..."], "parameters": {}, "stream": true}
    worker:  {"id": 2, "answers": [...]} after every token, then {"id": 2, "ended": true}
             or  {"id": 2, "error": message}
    server:  {"id": 2, "cancel": true} once the client has stopped reading the stream
    worker:  {"id": 2, "ended": true}, unless it has said so
"""

import argparse
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from seqline.errors import UserError
from seqline.freed_memory import keep_freed_memory
from seqline.lean_tensorflow import import_lean, set_threads
from seqline.quick_imports import quick_imports
from seqline.serving.answers import LENGTH, Answer, frame
from seqline.serving.garbage import relax_collector

log = logging.getLogger(__name__)

# A model counts as loaded after it has answered this, because the first calls are slow.
WARM_UP = ([["."], ["One, two.", "Three."]], 2)


def main(arguments: list[str] | None = None) -> int:
    """Answers until the server closes the socket.

    Args:
        arguments: The command line from `seqline.serving.engine`.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m seqline.serving.worker")
    parser.add_argument("--socket", type=int, required=True, help="file descriptor of the socket to the server")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    # Ctrl-C in a terminal and a service manager's SIGTERM reach all processes, but the server ends its workers.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    keep_freed_memory()
    server = _Server(socket.socket(fileno=options.socket))
    try:
        _import()
        wanted = next(server, None)
        if wanted is None:  # the server needed no worker
            return 0
        concurrency = wanted["concurrency"]
        model, ready = _load(Path(wanted["load"]), concurrency, wanted["threads"])
    except Exception as error:
        server.send({"failed": str(error) if isinstance(error, UserError) else _one_line(error)})
        return 1
    relax_collector()
    server.send({"ready": ready})
    pool = ThreadPoolExecutor(concurrency + 1, "answers")  # short texts may pass long ones
    streams: dict[int, Iterator[list[Answer]]] = {}
    for message in server:
        if message.get("cancel"):
            streams.pop(message["id"], None)
        elif message.get("stream"):
            streams[message["id"]] = model.stream(message["texts"], tuple(message["parameters"].items()))
            pool.submit(_advance, pool, streams, message["id"], server)
        else:
            pool.submit(_answer, model, message, server)
    # The server is gone, so the answers in flight are dropped.
    os._exit(0)


class _Server:
    """The server's end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._out = connection
        self._in = connection.makefile("rb")
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message without interleaving."""
        with self._lock:
            self._out.sendall(frame(message))

    def __iter__(self) -> "_Server":
        return self

    def __next__(self) -> dict[str, Any]:
        prefix = self._in.read(LENGTH.size)
        if len(prefix) < LENGTH.size:
            raise StopIteration
        body = self._in.read(LENGTH.unpack(prefix)[0])
        return dict(json.loads(body))


def _import() -> None:
    """Imports what takes seconds, while the server starts and finds the model."""
    with quick_imports():
        import_lean()
        import tensorflow as tf

        import seqline.serving.model  # noqa: F401

        _ = tf.constant


def _load(path: Path, concurrency: int, threads: int) -> tuple[Any, dict[str, Any]]:
    import tensorflow as tf

    from seqline.accelerators import require_gpu
    from seqline.serving.metadata import read_metadata
    from seqline.serving.model import Model

    require_gpu()
    set_threads(threads, concurrency)
    model = Model(path)
    texts, times = WARM_UP
    for _ in range(times):
        for batch in texts:
            model.predict(batch, ())
    return model, {"metadata": read_metadata(path), "tensorflow": tf.__version__}


def _answer(model: Any, message: dict[str, Any], server: _Server) -> None:
    started = time.perf_counter()
    reply: dict[str, Any] = {"id": message["id"]}
    try:
        found = model.predict(message["texts"], tuple(message["parameters"].items()))
        reply["answers"] = [answer.packed() for answer in found]
    except Exception as error:
        log.exception("a batch of %d texts failed", len(message["texts"]))
        reply["error"] = _one_line(error)
    reply["seconds"] = time.perf_counter() - started
    server.send(reply)


def _advance(
    pool: ThreadPoolExecutor, streams: dict[int, Iterator[list[Answer]]], number: int, server: _Server
) -> None:
    """Decodes one token of a stream; the next one queues behind requests that arrived meanwhile."""
    stream = streams.get(number)
    if stream is None:  # cancelled
        server.send({"id": number, "ended": True})
        return
    try:
        found = next(stream, None)
    except Exception as error:
        log.exception("a stream failed")
        streams.pop(number, None)
        server.send({"id": number, "error": _one_line(error)})
        return
    if found is None:
        streams.pop(number, None)
        server.send({"id": number, "ended": True})
        return
    server.send({"id": number, "answers": [answer.packed() for answer in found]})
    pool.submit(_advance, pool, streams, number, server)


def _one_line(error: Exception) -> str:
    """Shortens an error: TensorFlow's have pages, and the message comes before the stack."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


if __name__ == "__main__":
    sys.exit(main())
