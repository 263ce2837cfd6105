"""Long operations of Vertex, such as deploying a model: started once, found after a lost response, followed to the end.

The response that names an operation may be lost, while the operation runs on for ten minutes. So its result is looked
for before every start, and so are operations of its kind that still run; only if there is neither is it started again.
"""

import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from seqline.errors import UserError
from seqline.vertex_api.retries import Retries

log = logging.getLogger(__name__)

T = TypeVar("T")


class TimeLimitError(UserError):
    """An operation did not end within its time limit; it may end later."""


@dataclass(frozen=True)
class Operations:
    """Long operations of one service.

    Attributes:
        client: The service's client.
        retries: How calls are retried.
        seconds: Time limit of an operation.
        pauses: Seconds between two looks at a running operation; the last one repeats.
        clock: Seconds of a monotonic clock.
    """

    client: Any
    retries: Retries
    seconds: float
    pauses: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 15.0)
    clock: Callable[[], float] = time.monotonic

    def finish(
        self,
        what: str,
        look: Callable[[], T | None],
        start: Callable[[], Any],
        kind: str,
        parents: Sequence[str],
    ) -> T:
        """Starts an operation unless its result exists or it already runs, and waits for its end.

        Args:
            what: For messages, such as "deploy version 3".
            look: Returns the operation's result if it exists.
            start: Starts the operation; returns the client's future.
            kind: The procedure, such as DeployModel.
            parents: Resources to list running operations of.

        Returns:
            What `look` returns at the end.

        Raises:
            TimeLimitError: If it does not end in time.
            UserError: As `retries` does.
        """
        deadline = self.clock() + self.seconds
        with self.retries.explained(what):
            for pause in (*self.retries.pauses, None):
                found = self._settled(what, look, kind, parents, deadline)
                if found is not None:
                    return found
                try:
                    self.wait(what, start().operation.name, deadline)
                except Exception as error:
                    lost = self.retries.transient(error) or self.retries.exists(error)
                    if isinstance(error, TimeLimitError) or not lost:
                        raise
                    if pause is None:
                        break
                    self.retries.pause(what, error, pause)
            # The response to the last start may be lost as well.
            found = self._settled(what, look, kind, parents, deadline)
        if found is None:
            raise UserError(f"Vertex did not {what}: after {len(self.retries.pauses) + 1} attempts it is not done")
        return found

    def running(self, kind: str, parents: Sequence[str]) -> list[str]:
        """Returns the names of running operations.

        Args:
            kind: The procedure, such as DeployModel.
            parents: Resources to list the operations of; one that does not exist has none.
        """
        return list(dict.fromkeys(name for parent in parents for name in self._running(kind, parent)))

    def wait(self, what: str, name: str, deadline: float) -> None:
        """Waits for the end of an operation.

        Args:
            what: For messages.
            name: The operation's.
            deadline: Of the clock.

        Raises:
            TimeLimitError: If it does not end in time.
            GoogleAPICallError: If it ends with an error.
        """
        from google.api_core.exceptions import from_grpc_status

        for pause in itertools.chain(self.pauses, itertools.repeat(self.pauses[-1])):
            operation = self._patiently(what, lambda: self.client.get_operation(request={"name": name}), deadline)
            if operation.done:
                if operation.HasField("error"):
                    raise from_grpc_status(operation.error.code, operation.error.message)
                return
            self._pause(what, pause, deadline)

    def cancel(self, name: str) -> None:
        """Asks the service to cancel an operation; it may run on nevertheless.

        Args:
            name: The operation's.
        """
        from google.api_core.exceptions import GoogleAPIError

        with contextlib.suppress(GoogleAPIError):
            self.client.cancel_operation(request={"name": name})

    def _settled(
        self, what: str, look: Callable[[], T | None], kind: str, parents: Sequence[str], deadline: float
    ) -> T | None:
        """Returns the result, or None if there is none and no operation that could bring it still runs."""
        from google.api_core.exceptions import GoogleAPICallError

        while True:
            found = self._patiently(what, look, deadline)
            if found is not None:
                return found
            names = self._patiently(what, lambda: self.running(kind, parents), deadline)
            for name in names:
                log.info("cannot %s yet: waiting for %s, which runs already", what, name)
                # Its error is reported by the next start; it may also be another caller's.
                with contextlib.suppress(GoogleAPICallError):
                    self.wait(what, name, deadline)
            if not names:
                return None

    def _patiently(self, what: str, call: Callable[[], T], deadline: float) -> T:
        """Reads until there is an answer; unlike a start, that can be repeated for as long as there is time."""
        for pause in itertools.chain(self.pauses, itertools.repeat(self.pauses[-1])):
            try:
                return call()
            except Exception as error:  # noqa: PERF203 (a call over the network is slower)
                if not self.retries.transient(error) or self.clock() >= deadline:
                    raise
                self._pause(what, pause, deadline)
        raise AssertionError  # the pauses never end

    def _pause(self, what: str, pause: float, deadline: float) -> None:
        if self.clock() >= deadline:
            raise TimeLimitError(f"Vertex did not {what} within {self.seconds:g} s")
        self.retries.sleep(pause)

    def _running(self, kind: str, parent: str) -> list[str]:
        from google.api_core import exceptions

        found, token = [], ""
        # Not every resource lists its operations, nor to everybody; their results are looked for in any case.
        refused = (exceptions.NotFound, exceptions.BadRequest, exceptions.Forbidden, exceptions.MethodNotImplemented)
        with contextlib.suppress(*refused):
            while True:
                page = self.client.list_operations(request={"name": parent, "page_token": token})
                found += [
                    one.name
                    for one in page.operations
                    if not one.done and one.metadata.type_url.endswith(f".{kind}OperationMetadata")
                ]
                token = page.next_page_token
                if not token:
                    break
        return found
