"""Restarts a local endpoint's server when it is killed, as an orchestrator restarts a container.

Linux only.
"""

import ctypes
import logging
import os
import signal
import time
from types import FrameType

log = logging.getLogger(__name__)

# Seconds before a restart: doubled for each, and reset after the server has run for STABLE_SECONDS.
FIRST_WAIT, LONGEST_WAIT, STABLE_SECONDS = 0.1, 30.0, 60.0
PR_SET_PDEATHSIG = 1  # prctl(2)


def supervise() -> int | None:
    """Forks: the child serves, and the parent restarts it whenever a signal kills it.

    Must be called before any thread is started.

    Returns:
        In the child: None. In the parent, once the child has exited by itself: its exit code.
    """
    serving, stopped = 0, False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        if serving:
            os.kill(serving, signal.SIGTERM)

    # Ctrl-C in a terminal reaches both processes.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    supervisor, wait = os.getpid(), FIRST_WAIT
    while True:
        started = time.monotonic()
        serving = os.fork()
        if serving == 0:
            _end_with(supervisor)
            return None
        code = os.waitstatus_to_exitcode(os.waitpid(serving, 0)[1])
        if stopped or code >= 0:
            return max(code, 0)
        wait = FIRST_WAIT if time.monotonic() - started > STABLE_SECONDS else wait
        log.error("the server was killed by signal %d; restarting it", -code)
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


def _end_with(supervisor: int) -> None:
    """Makes the kernel send SIGTERM when the supervisor ends: an orphaned server would occupy its port."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:
        os.kill(os.getpid(), signal.SIGTERM)
