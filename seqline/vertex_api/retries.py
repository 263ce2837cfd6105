"""Retries of calls over a network; what must be created once is looked up before every attempt."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from seqline.errors import UserError
from seqline.vertex_api.first_contact import first_contact

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Retries:
    """How calls to one service are retried.

    Attributes:
        pauses: Seconds before each further attempt.
        explained: Turns the errors of the service's client into messages for users; its argument says what was
            requested, such as "list the runs".
        transient: Whether an error may go away by itself.
        exists: Whether an error says that the resource to create exists already.
        sleep: Waits some seconds.
    """

    pauses: tuple[float, ...]
    explained: Callable[[str], AbstractContextManager[None]]
    transient: Callable[[Exception], bool]
    exists: Callable[[Exception], bool] = lambda error: False
    sleep: Callable[[float], None] = time.sleep

    def read(self, what: str, call: Callable[[], T]) -> T:
        """Calls something that may be done twice, and retries while the service is unavailable.

        Args:
            what: For the error, such as "list the runs".
            call: The call.

        Raises:
            UserError: As `explained` does.
        """
        with self.explained(what):
            for number, pause in enumerate((*self.pauses, None), start=1):
                try:
                    answer = call()
                except Exception as error:  # noqa: PERF203 (a call over the network is slower)
                    gives_up = first_contact.gives_up(error, number)
                    if pause is None or gives_up or not self.transient(error):
                        raise
                    self.pause(what, error, pause)
                else:
                    first_contact.answered = True
                    return answer
            raise AssertionError  # the last attempt returns or raises

    def write(self, what: str, look: Callable[[], T | None], call: Callable[[], T]) -> T:
        """Creates something once, even when the response is lost: it is looked up before every attempt.

        Args:
            what: For the error, such as "create schedule nightly".
            look: Returns the resource if it exists.
            call: Creates it.

        Raises:
            UserError: As `explained` does; or if another resource of that name exists.
        """
        with self.explained(what):
            for pause in (*self.pauses, None):
                found = self.read(what, look)
                if found is not None:
                    return found
                try:
                    return call()
                except Exception as error:
                    if not self.exists(error) and (pause is None or not self.transient(error)):
                        raise
                    if pause is not None:
                        self.pause(what, error, pause)
            raise UserError(f"cannot {what}: another one of that name exists")

    def pause(self, what: str, error: Exception, pause: float) -> None:
        """Waits before a further attempt.

        Args:
            what: What was requested.
            error: Why it failed.
            pause: Seconds.
        """
        log.info("cannot %s yet: %s", what, error)
        log.warning("cannot %s yet; trying again in %g s", what, pause)
        self.sleep(pause)
