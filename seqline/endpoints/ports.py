"""Whether a TCP port can be listened on."""

import socket


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
