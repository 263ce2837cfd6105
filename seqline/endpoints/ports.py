"""TCP ports of local endpoints: whether one can be listened on, and who listens."""

import json
import socket
import urllib.request
from typing import Any

# A proxy of the user's environment cannot reach this machine's loopback.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SECONDS = 1.0
ANOTHER = "choose another with --port or targets.laptop.port"


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether no program listens on a port.

    Args:
        port: The port.
        host: The address to listen on.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def in_use(port: int, host: str = "127.0.0.1") -> str:
    """Says which program listens on a port, and what to do.

    Args:
        port: A port that is not free.
        host: The address that the program listens on.

    Returns:
        A sentence without its full stop; it names the endpoint, if the program is a model server of Seqline's.
    """
    name = _endpoint_on(port, host)
    if name:
        return (
            f"port {port} is in use by Seqline's own server of the endpoint {name!r}; {ANOTHER}, or stop it with "
            f"`seqline endpoint stop {name}`"
        )
    return f"port {port} is in use by another program; {ANOTHER}, or stop that program"


def _endpoint_on(port: int, host: str) -> str:
    """The name of the endpoint whose server answers on a port; empty if another program does."""
    try:
        with DIRECT.open(f"http://{host}:{port}/v1/traffic", timeout=SECONDS) as response:
            status: Any = json.load(response)
    except (OSError, ValueError):
        return ""
    known = isinstance(status, dict) and {"name", "traffic", "aliases"} <= set(status)
    return str(status["name"]) if known else ""
