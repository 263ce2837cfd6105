"""Child processes that do not outlive their parent."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # prctl(2)


def ending_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """Returns a `preexec_fn` for a child that gets a signal when this process ends, even by SIGKILL.

    Without it, the stage of a run that was killed would go on, and compete with that of the run that continues.

    Args:
        number: The signal.

    Returns:
        The function; None where the kernel has no such signal (it is Linux's).
    """
    if not sys.platform.startswith("linux"):
        return None
    # Before the fork: the child of a process with threads must not load a library.
    library, parent = ctypes.CDLL(None), os.getpid()

    def prepare() -> None:
        library.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it ended before
            os._exit(1)

    return prepare
