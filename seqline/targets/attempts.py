"""Calls to a service over a network: again while it is away, and never twice what is to be made once."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from seqline.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Attempts:
    """How calls to one service are made.

    Attributes:
        pauses: Seconds before each further attempt.
        explained: Turns the errors of the service's client into messages for a person; is told what was asked for,
            such as "list the runs".
        transient: Whether an error may go away by itself.
        is_there: Whether an error says that what is to be made exists already.
        sleep: Waits some seconds.
    """

    pauses: tuple[float, ...]
    explained: Callable[[str], AbstractContextManager[None]]
    transient: Callable[[Exception], bool]
    is_there: Callable[[Exception], bool] = lambda error: False
    sleep: Callable[[float], None] = time.sleep

    def read(self, what: str, call: Callable[[], T]) -> T:
        """Calls something that may be done twice, again while the service is away.

        Args:
            what: For the error, such as "list the runs".
            call: The call.

        Raises:
            UserError: If it is refused.
            UnreachableError: If there is no answer, or this caller may not.
        """
        with self.explained(what):
            for pause in self.pauses:
                try:
                    return call()
                except Exception as error:  # noqa: PERF203 (a call over the network is slower)
                    if not self.transient(error):
                        raise
                    self.sleep(pause)
            return call()

    def write(self, what: str, look: Callable[[], T | None], call: Callable[[], T]) -> T:
        """Makes something once, also when the answer is lost: it looks for it before every attempt.

        Args:
            what: For the error, such as "create schedule nightly".
            look: Returns what the call makes, if it is there.
            call: Makes it.

        Raises:
            UserError: If it is refused.
            UnreachableError: If there is no answer, or this caller may not.
        """
        with self.explained(what):
            for pause in (*self.pauses, None):
                found = self.read(what, look)
                if found is not None:
                    return found
                try:
                    return call()
                except Exception as error:
                    if self.is_there(error):
                        continue
                    if pause is None or not self.transient(error):
                        raise
                    self.sleep(pause)
            raise UserError(f"cannot {what}: it exists already, and is not what is wanted")
