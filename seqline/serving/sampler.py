"""Samples answers: the event loop puts them on a bounded queue, and a thread sends them to the process of the rows.

A request costs the event loop a tuple on that queue and nothing else: neither a lock nor waking the thread, which looks
at the queue now and then. All else is done for many answers at once, by `seqline.serving.row_writer`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seqline.artifacts.private_files import prepare
from seqline.endpoints.sampling import Sampling
from seqline.errors import UserError
from seqline.sampling.received_feedback import ReceivedFeedback
from seqline.sampling.recent import Known, Recent
from seqline.serving.answer_ids import Ids
from seqline.serving.answers import Answer
from seqline.serving.metrics import Metrics
from seqline.serving.row_process import RowProcess

log = logging.getLogger(__name__)

QUEUE = 10_000
"""Most answers that wait for the thread."""
QUEUED_CHARACTERS = 32_000_000
"""Most characters of their texts."""
PAUSE = 2.0
"""Seconds in which the thread collects answers, so that it works on many at once."""
SOON = QUEUE // 8
"""So many that wait are sent at once, without that pause."""
BEHIND = QUEUE // 4
"""So many wait only if the process that stores them gets too little time."""
BATCH = 512
"""Most answers, and most feedback, that are sent together."""
LOOKED_IN = 16
"""Newest files that an answer of another server, or of before this one started, is looked for in."""
LOOK_SECONDS = 1.0
"""Least time between two such looks: whoever makes up ids must not keep the server busy."""
END_SECONDS = 10.0
"""Time to store what is left when the server ends."""


class Sampler:
    """Samples the answers of a server. All methods but `look` and those of the thread run on the event loop.

    Args:
        settings: What is sampled.
        model_of: Returns the folder of a version's model.
        metrics: The server's metrics.
        thread: Whether to start the thread; a test calls `work` itself.
    """

    def __init__(
        self, settings: Sampling, model_of: Callable[[int], Path | None], metrics: Metrics, thread: bool = True
    ) -> None:
        self.settings, self.recent = settings, Recent()
        self._metrics, self._model_of = metrics, model_of
        # Plain tuples with the fields of Sample, which the garbage collector leaves alone.
        self._answers: deque[tuple[Any, ...]] = deque()
        self._given: deque[ReceivedFeedback] = deque()
        self._wake = threading.Event()
        # Each is written by one thread alone: characters that were queued, and that were taken off the queue.
        self._queued = self._taken = 0
        self._ended = False
        self._look_at = 0.0
        prepare(settings.folder)
        self._process = RowProcess(settings, metrics)
        self._models: dict[str, str | None] = {}
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True) if thread else None
        if self._thread:
            self._thread.start()

    def take(
        self,
        ids: Ids,
        version: int,
        interface: str,
        seconds: float,
        texts: Sequence[str],
        answers: Sequence[Answer],
        label: str = "",
    ) -> None:
        """Hands the sampled answers of a request to the thread; what the queue has no room for is dropped and counted.

        Args:
            ids: The ids of its answers.
            version: The version that answered.
            interface: The request's interface.
            seconds: Time to answer the request.
            texts: The texts.
            answers: An answer for each.
            label: The client's label; empty for none.
        """
        if not ids.request:
            return
        time_, version_, slice_ = time.time(), str(version), label or None
        known = (version_, None, None, False)
        for id_, text, answer in zip(ids.sampled, texts, answers, strict=True):
            if not id_:
                continue
            output = answer.text
            size = len(text) + len(output)
            if not self._has_room(size):
                self._metrics.sample_drops.labels("queue").inc()
                continue
            self._queued += size
            tokens = _output_tokens(answer)
            self._answers.append(
                (id_, time_, version_, interface, seconds, text, output, tokens, answer.cut, answer.score, slice_)
            )
            self.recent.add(id_, (version_, text, output, False) if self.settings.texts else known)
        if len(self._answers) > SOON:
            self._wake.set()

    def may_look(self) -> bool:
        """Whether the files may be looked in now; then they may not be again for a while."""
        now_ = time.monotonic()
        if now_ < self._look_at:
            return False
        self._look_at = now_ + LOOK_SECONDS
        return True

    def look(self, id_: str) -> Known | None:
        """Looks for an answer in the newest files, of this server and of others. Takes a while.

        Args:
            id_: The answer's id.
        """
        # Arrow, which this process needs for nothing else.
        from seqline.artifacts.request_log import REQUESTS

        try:
            row = REQUESTS.find(self.settings.folder, id_, ["version", "source", "output"], LOOKED_IN)
        except UserError as error:
            log.warning("%s", error)
            return None
        return Known(**row, redacted=True) if row else None

    def take_feedback(self, given: ReceivedFeedback) -> bool:
        """Hands feedback to the thread.

        Args:
            given: The feedback, whose answer is among the recent ones.

        Returns:
            False if the queue has no room.
        """
        known = self.recent.find(given.id)
        if known and known.source is not None:
            # What was served counts, not what a client says of it.
            given = given._replace(source=known.source, output=known.output, redacted=known.redacted)
        if not self._has_room(given.characters):
            return False
        self._queued += given.characters
        self._given.append(given)
        return True

    def _has_room(self, size: int) -> bool:
        waiting = len(self._answers) + len(self._given)
        return waiting < QUEUE and self._queued - self._taken + size <= QUEUED_CHARACTERS

    def close(self, seconds: float = END_SECONDS) -> None:
        """Stores what is left, and ends the thread and the process.

        Args:
            seconds: Time for that.
        """
        end = time.monotonic() + seconds
        self._ended = True
        self._wake.set()
        if self._thread:
            self._thread.join(seconds)
        else:
            self.work()
        self._process.close(max(0.0, end - time.monotonic()))
        if self._thread:
            self._thread.join()
        for reason, queue in (("write", self._answers), ("feedback", self._given)):
            self._metrics.sample_drops.labels(reason).inc(len(queue))

    def work(self) -> None:
        """Sends what is queued."""
        while (self._answers or self._given) and self._process.is_ready(urgent=self._ended):
            behind = len(self._answers) >= BEHIND
            answers = [self._answers.popleft() for _ in range(min(BATCH, len(self._answers)))]
            given = [self._given.popleft() for _ in range(min(BATCH, len(self._given)))]
            self._taken += sum(len(one[5]) + len(one[6]) for one in answers) + sum(one.characters for one in given)
            message = {
                "answers": answers,
                "feedback": [*map(tuple, given)],
                "models": {version: self._model(version) for version in {one[2] for one in answers}},
                "behind": behind,
            }
            self._process.send(message, {"write": len(answers), "feedback": len(given)})

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(PAUSE)
            self._wake.clear()
            self.work()
        self.work()

    def _model(self, version: str) -> str | None:
        if version not in self._models:
            folder = self._model_of(int(version))
            self._models[version] = str(folder) if folder else None
        return self._models[version]


def _output_tokens(answer: Answer) -> int:
    """The output's tokens without the end of sentence, which a finished output has."""
    counts = answer.counts
    if counts is None or not counts.outputs:
        return -1
    return max(0, counts.outputs[0] - counts.finished[0])
