"""The lines of a run's logs, as `seqline runs logs` shows them."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from seqline.progress import is_record

if TYPE_CHECKING:
    from seqline.targets.target import Target

# KFP's executor logs its whole input, hundreds of lines, before a stage says anything.
EXECUTOR = re.compile(r"\[KFP Executor [^]]*\]: (?:Looking for component|Loading KFP component|Got executor_input)")
# After the name of the task, which may have spaces.
OPENING, CLOSING = re.compile(r"^(?:[^{}]+: )?\{$"), re.compile(r"^(?:[^{}\s][^{}]*: )?\}$")
POLL_SECONDS = 2.0


def of_stages(lines: Iterable[str]) -> Iterator[str]:
    """Leaves out what KFP's executor logs of its own input, and the records of progress.

    Args:
        lines: The lines of a log; each may begin with its task's name.
    """
    lines = iter(lines)
    for line in lines:
        if is_record(line):
            continue
        if not EXECUTOR.search(line):
            yield line
            continue
        if "Got executor_input" not in line or line.rstrip().endswith("}"):
            continue
        following = next(lines, "")
        if not OPENING.match(following):
            yield from filter(None, (following,))
            continue
        for inner in lines:
            if CLOSING.match(inner):
                break


def follow(target: "Target", run: str, task: str, seconds: float = POLL_SECONDS) -> Iterator[str]:
    """Yields the lines of a run's logs as they are written, until the run ends.

    Args:
        target: The run's target.
        run: ID of the run.
        task: Only this task; empty for all.
        seconds: Time between two looks.
    """
    shown: Counter[str] = Counter()
    while True:
        ended = target.describe(run).ended  # before the logs, of which it may be the last look
        seen: Counter[str] = Counter()
        for line in target.logs(run, task):
            seen[line] += 1
            if seen[line] > shown[line]:
                yield line
        shown |= seen
        if ended:
            return
        time.sleep(seconds)
