"""How far the running tasks of a run in a cloud are: the newest record in each one's log, read now and then."""

import time
from collections.abc import Callable

from seqline.progress import Progress
from seqline.targets.target import Run, Task


class RefusedError(Exception):
    """This caller, or this server, gives no logs: they are not asked for again."""


class TaskProgress:
    """Reads records. A look at the progress ends no watch: without logs there is none.

    Args:
        newest: Returns the newest record of a running task; raises `RefusedError` if it is never going to.
        seconds: Time between two looks at one task.
        clock: The time in seconds, from any start.
    """

    def __init__(
        self,
        newest: Callable[[Run, Task], Progress | None],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.newest, self.seconds, self.clock = newest, seconds, clock
        self.found: dict[str, tuple[float, Progress | None]] = {}
        self.refused = False

    def update(self, run: Run) -> Run:
        """Sets the progress of the running tasks.

        Args:
            run: The run.

        Returns:
            The same run.
        """
        for task in run.tasks:
            if task.state == "running" and task.id:
                task.progress = self._of(run, task)
        return run

    def _of(self, run: Run, task: Task) -> Progress | None:
        when, known = self.found.get(task.id, (-self.seconds, None))
        now = self.clock()
        if not self.refused and now - when >= self.seconds:
            try:
                known = self.newest(run, task) or known
            except RefusedError:
                self.refused = True
            except Exception:
                known = None
            self.found[task.id] = now, known
        return known
