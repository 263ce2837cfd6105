"""Restarts a local endpoint's server when it is killed, as an orchestrator restarts a container.

Linux only.
"""

import logging
import os
import signal
import time

from seqline.children import ending_with_parent

log = logging.getLogger(__name__)

# Seconds before a restart: doubled for each, and reset after the server has run for STABLE_SECONDS.
FIRST_WAIT, LONGEST_WAIT, STABLE_SECONDS = 0.1, 30.0, 60.0
STOPPING = (signal.SIGTERM, signal.SIGINT)


def supervise() -> int | None:
    """Forks: the child serves, and the parent restarts it whenever a signal kills it.

    Must be called before any thread is started. The parent blocks its signals and takes them one by one, so that none
    arrives between two steps: it never signals a process that has ended, and none is lost while it restarts one.

    Returns:
        In the child: None. In the parent, once the child has exited by itself or was stopped: its exit code.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (*STOPPING, signal.SIGCHLD))
    wait, prepare = FIRST_WAIT, ending_with_parent()
    while True:
        started = time.monotonic()
        server = os.fork()
        if server == 0:
            for number in STOPPING:
                signal.signal(number, signal.SIG_DFL)
            if prepare:
                prepare()  # an orphaned server would occupy its port
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (*STOPPING, signal.SIGCHLD))
            return None
        code, stopped = _wait(server)
        if stopped or code >= 0:
            return max(code, 0)
        wait = FIRST_WAIT if time.monotonic() - started > STABLE_SECONDS else wait
        log.error("the server was killed by signal %d; restarting it", -code)
        # Ctrl-C in a terminal reaches both processes.
        if signal.sigtimedwait(STOPPING, wait):
            return 0
        wait = min(2 * wait, LONGEST_WAIT)


def _wait(server: int) -> tuple[int, bool]:
    """Waits until the server has ended, and stops it on a signal. Returns its exit code, and whether it was stopped."""
    stopped = False
    while True:
        if signal.sigwait((*STOPPING, signal.SIGCHLD)) == signal.SIGCHLD:
            ended, status = os.waitpid(server, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status), stopped
        else:
            stopped = True
            os.kill(server, signal.SIGTERM)  # it was not reaped: only the line above does
