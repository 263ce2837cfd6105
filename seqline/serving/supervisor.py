"""Keeps a local endpoint's server running, as an orchestrator keeps a container: one that is killed is started again.

Linux only.
"""

import ctypes
import logging
import os
import signal
import time
from types import FrameType

log = logging.getLogger(__name__)

# Before a server that was killed is started again: seconds, doubled every time, from the start after a good while.
FIRST_WAIT, LONGEST_WAIT, GOOD_WHILE = 0.1, 30.0, 60.0
PR_SET_PDEATHSIG = 1  # prctl(2)


def keep() -> int | None:
    """Splits the process in two: one is to serve, the other starts it again whenever a signal ends it.

    To be called before there are threads.

    Returns:
        In the process that is to serve: None. In the other, once it has ended by itself: its exit code.
    """
    serving, stopped = 0, False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        if serving:
            os.kill(serving, signal.SIGTERM)

    # A terminal's Ctrl-C reaches both.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    keeper, wait = os.getpid(), FIRST_WAIT
    while True:
        started = time.monotonic()
        serving = os.fork()
        if serving == 0:
            _end_with(keeper)
            return None
        code = os.waitstatus_to_exitcode(os.waitpid(serving, 0)[1])
        if stopped or code >= 0:
            return max(code, 0)
        wait = FIRST_WAIT if time.monotonic() - started > GOOD_WHILE else wait
        log.error("the server was ended by signal %d; starting it again", -code)
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


def _end_with(keeper: int) -> None:
    """Has the kernel send SIGTERM once the keeper is gone: a server that nobody keeps would hold its port."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != keeper:
        os.kill(os.getpid(), signal.SIGTERM)
