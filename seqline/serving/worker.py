"""A version's own process: loads its SavedModel and answers batches that come over a socket.

A process of its own, so that loading a version never holds up the one that answers, that unloading it gives all of
its memory back, and that a model that crashes takes nothing with it. It ends when the server's end of the socket
closes, however the server ended. The messages, see `seqline.serving.answers`:

    worker:  {"ready": {"metadata": {...}, "tensorflow": "2.21.0"}}  or  {"failed": why}
    server:  {"id": 1, "texts": ["..."], "parameters": {"beam_size": 2}}
    worker:  {"id": 1, "answers": [["...", -0.1, [], false]], "seconds": 0.02}  or  {"id": 1, "error": why}
    server:  {"id": 2, "texts": ["..."], "parameters": {}, "stream": true}
    worker:  {"id": 2, "answers": [...]} after every piece, then {"id": 2, "ended": true}  or  {"id": 2, "error": why}
    server:  {"id": 2, "cancel": true} when nobody reads the stream any more
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
from seqline.serving.answers import LENGTH, Answer, frame

log = logging.getLogger(__name__)

# A model has answered this before it counts as loaded: the first calls are the slow ones.
WARM_UP = ([["."], ["One, two.", "Three."]], 2)


def main(arguments: list[str] | None = None) -> int:
    """Answers until the server is gone.

    Args:
        arguments: The command line that `seqline.serving.engine` gives.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m seqline.serving.worker")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--socket", type=int, required=True, help="number of the open socket to the server")
    parser.add_argument("--concurrency", type=int, required=True, help="batches that are answered at once")
    parser.add_argument("--threads", type=int, required=True, help="threads of one operation")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    # Ctrl-C in a terminal reaches the whole group; the server decides when a worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = _Server(socket.socket(fileno=given.socket))
    try:
        model, ready = _load(given.model, given.concurrency, given.threads)
    except Exception as error:
        server.say({"failed": str(error) if isinstance(error, UserError) else _one_line(error)})
        return 1
    server.say({"ready": ready})
    pool = ThreadPoolExecutor(given.concurrency, "answers")
    streams: dict[int, Iterator[list[Answer]]] = {}
    for message in server:
        if message.get("cancel"):
            streams.pop(message["id"], None)
        elif message.get("stream"):
            streams[message["id"]] = model.stream(message["texts"], tuple(message["parameters"].items()))
            pool.submit(_proceed, pool, streams, message["id"], server)
        else:
            pool.submit(_answer, model, message, server)
    # Nobody waits for the answers that are under way.
    os._exit(0)


class _Server:
    """The server's end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._out = connection
        self._in = connection.makefile("rb")
        self._speaking = threading.Lock()

    def say(self, message: dict[str, Any]) -> None:
        """Sends a message whole."""
        with self._speaking:
            self._out.sendall(frame(message))

    def __iter__(self) -> "_Server":
        return self

    def __next__(self) -> dict[str, Any]:
        prefix = self._in.read(LENGTH.size)
        if len(prefix) < LENGTH.size:
            raise StopIteration
        body = self._in.read(LENGTH.unpack(prefix)[0])
        return dict(json.loads(body))


def _load(path: Path, concurrency: int, threads: int) -> tuple[Any, dict[str, Any]]:
    import tensorflow as tf

    from seqline.serving.metadata import read_metadata
    from seqline.serving.model import Model

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(concurrency)
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
    server.say(reply)


def _proceed(
    pool: ThreadPoolExecutor, streams: dict[int, Iterator[list[Answer]]], number: int, server: _Server
) -> None:
    """One piece of a stream; the next one queues behind what has come in since."""
    stream = streams.get(number)
    if stream is None:
        return
    try:
        found = next(stream, None)
    except Exception as error:
        log.exception("a stream failed")
        streams.pop(number, None)
        server.say({"id": number, "error": _one_line(error)})
        return
    if found is None:
        streams.pop(number, None)
        server.say({"id": number, "ended": True})
        return
    server.say({"id": number, "answers": [answer.packed() for answer in found]})
    pool.submit(_proceed, pool, streams, number, server)


def _one_line(error: Exception) -> str:
    """TensorFlow's errors are pages; what matters stands before its own stack."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


if __name__ == "__main__":
    sys.exit(main())
