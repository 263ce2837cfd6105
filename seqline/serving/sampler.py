"""Samples answers: the event loop puts them on a bounded queue, and one thread computes their rows and writes files.

A request costs the event loop a tuple on that queue and nothing else: neither a lock nor waking the thread, which looks
at the queue now and then. All else is done for many answers at once.
"""

import logging
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqline.artifacts.feedback_log import FEEDBACK, Feedback
from seqline.artifacts.request_log import REQUESTS
from seqline.endpoints.sampling import Sampling
from seqline.errors import UserError
from seqline.sampling.features import Features, Sample, Tokens, with_texts
from seqline.sampling.identification import Languages
from seqline.sampling.recent import Known, Recent
from seqline.sampling.redaction import Redaction
from seqline.sampling.rotating import RotatingLog, Rotation, prepare
from seqline.serving.answer_ids import Ids
from seqline.serving.answers import Answer
from seqline.serving.metrics import Metrics

log = logging.getLogger(__name__)

QUEUE = 10_000
"""Most answers that wait for the thread."""
QUEUED_CHARACTERS = 32_000_000
"""Most characters of their texts."""
PAUSE = 2.0
"""Seconds in which the thread collects answers, so that it works on many at once."""
SOON = QUEUE // 8
"""So many that wait are worked on at once, without that pause."""
BATCH = 1024
"""Most answers whose rows are computed together."""
FEEDBACK_SECONDS = 2.0
"""Longest time that feedback waits for its file, beside two pauses: people export what they have just corrected."""
LOOKED_IN = 16
"""Newest files that an answer of another server, or of before this one started, is looked for in."""
LOOK_SECONDS = 1.0
"""Least time between two such looks: whoever makes up ids must not keep the server busy."""
SWITCH_SECONDS = 0.0005
"""Python's default is 5 ms, which the event loop would wait after each call that releases the interpreter."""
END_SECONDS = 10.0
"""Time for the thread to write what is left when the server ends."""


class Sampler:
    """Samples the answers of a server. All methods but those of the thread run on the event loop.

    Args:
        settings: What is sampled.
        model_of: Returns the folder of a version's model.
        metrics: The server's metrics.
        rotation: When files of samples are written.
        thread: Whether to start the thread; a test calls `work` itself.
    """

    def __init__(
        self,
        settings: Sampling,
        model_of: Callable[[int], Path | None],
        metrics: Metrics,
        rotation: Rotation = Rotation(),  # noqa: B008 (frozen)
        thread: bool = True,
    ) -> None:
        self.settings, self.recent = settings, Recent()
        self._metrics, self._model_of = metrics, model_of
        # Plain tuples with the fields of Sample, which the garbage collector leaves alone.
        self._answers: deque[tuple[Any, ...]] = deque()
        self._given: deque[Feedback] = deque()
        # Held while an answer is neither on the queue nor among the recent ones.
        self._moving = threading.Lock()
        self._wake = threading.Event()
        # Each is written by one thread alone: characters that were queued, and that were handled.
        self._queued = self._handled = 0
        self._ended = False
        self._look_at = 0.0
        self._tokens: dict[str, Tokens | None] = {}
        self._features = Features(self._tokens_of, Languages().identify)
        rotation = replace(rotation, total_bytes=settings.megabytes * 1_000_000)
        self._samples = RotatingLog(REQUESTS, settings.folder, rotation, self._lost_samples)
        rotation = replace(rotation, seconds=min(rotation.seconds, FEEDBACK_SECONDS))
        self._feedback = RotatingLog(FEEDBACK, settings.folder, rotation, self._lost_feedback)
        # Otherwise tokenizers takes all cores, which the model needs.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        prepare(settings.folder)
        self._redaction: Redaction | None = None
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True) if thread else None
        if self._thread:
            # Of the whole process: while the thread computes, the event loop waits for the interpreter at most so long.
            sys.setswitchinterval(SWITCH_SECONDS)
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
        time_, version_ = time.time(), str(version)
        for id_, text, answer in zip(ids.sampled, texts, answers, strict=True):
            if not id_:
                continue
            size = len(text) + len(answer.text)
            if not self._has_room(size):
                self._metrics.sample_drops.labels("queue").inc()
                continue
            self._queued += size
            self._answers.append(
                (
                    id_,
                    time_,
                    version_,
                    interface,
                    seconds,
                    text,
                    answer.text,
                    _output_tokens(answer),
                    answer.cut,
                    answer.score,
                    label or None,
                )
            )
        if len(self._answers) > SOON:
            self._wake.set()

    def find(self, id_: str) -> Known | None:
        """Returns an answer that this server has given lately; None if there is none.

        Args:
            id_: The answer's id.
        """
        known = self.recent.find(id_)
        if known is None:
            with self._moving:
                versions = [sample[2] for sample in self._answers if sample[0] == id_]
            if versions:
                self.recent.add([id_], versions[0])
            known = self.recent.find(id_)
        return known

    def may_look(self) -> bool:
        """Whether the files may be looked in now; then they may not be again for a while."""
        now_ = time.monotonic()
        if now_ < self._look_at:
            return False
        self._look_at = now_ + LOOK_SECONDS
        return True

    def look(self, id_: str) -> Known | None:
        """Looks for an answer in the newest files, of this server and of others, and remembers it. Takes a while.

        Args:
            id_: The answer's id.
        """
        try:
            row = REQUESTS.find(self.settings.folder, id_, ["version", "source", "output"], LOOKED_IN)
        except UserError as error:
            log.warning("%s", error)
            return None
        if row:
            self.recent.add([id_], row["version"])
            self.recent.keep([(id_, row["source"], row["output"])])
        return self.recent.find(id_)

    def take_feedback(self, feedback: Feedback) -> bool:
        """Hands feedback to the thread.

        Args:
            feedback: The feedback, whose answer is among the recent ones.

        Returns:
            False if the queue has no room.
        """
        size = _characters(_texts(feedback))
        if not self._has_room(size):
            return False
        self._queued += size
        self._given.append(feedback)
        return True

    def _has_room(self, size: int) -> bool:
        waiting = len(self._answers) + len(self._given)
        return waiting < QUEUE and self._queued - self._handled + size <= QUEUED_CHARACTERS

    def close(self, seconds: float = END_SECONDS) -> None:
        """Writes what is left, and ends the thread.

        Args:
            seconds: Time for that.
        """
        self._ended = True
        self._wake.set()
        if self._thread:
            self._thread.join(seconds)
            if self._thread.is_alive():
                log.error("%s was not written within %g s; the remaining rows are lost", self.settings.folder, seconds)
        else:
            self._finish()

    def work(self) -> None:
        """Handles what is queued, and writes the files that are due."""
        # Feedback is handled after the answers that it is on, which were queued before.
        given, answers = len(self._given), len(self._answers)
        for start in range(0, answers, BATCH):
            self._add(self._taken(min(BATCH, answers - start)))
        for _ in range(given):
            self._add_feedback(self._given.popleft())
        self._samples.tick()
        self._feedback.tick()

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(PAUSE)
            self._wake.clear()
            self.work()
        self._finish()

    def _finish(self) -> None:
        self.work()
        for one in (self._samples, self._feedback):
            one.flush()
            one.lose()

    def _taken(self, count: int) -> list[Sample]:
        """Takes answers off the queue, and remembers them."""
        with self._moving:
            samples = [Sample._make(self._answers.popleft()) for _ in range(count)]
            for version in {sample.version for sample in samples}:
                self.recent.add((sample.id for sample in samples if sample.version == version), version)
        return samples

    def _add(self, samples: list[Sample]) -> None:
        self._handled += sum(len(sample.source) + len(sample.output) for sample in samples)
        characters = 0
        try:
            table = self._features.table(samples)
            if self.settings.texts:
                sources = [self._redacted(sample.source) for sample in samples]
                outputs = [self._redacted(sample.output) for sample in samples]
                table = with_texts(table, sources, outputs)
                characters = _characters(sources) + _characters(outputs)
                self.recent.keep(zip((sample.id for sample in samples), sources, outputs, strict=True))
        except Exception:  # the thread must go on
            log.exception("the features of %d answers could not be computed", len(samples))
            self._lost_samples(len(samples))
            return
        for version, count in Counter(sample.version for sample in samples).items():
            self._metrics.sampled.labels(version).inc(count)
        self._samples.add(table, characters)

    def _add_feedback(self, given: Feedback) -> None:
        texts = _texts(given)
        self._handled += _characters(texts)
        known = self.recent.find(given.id)
        correction, source, output, comment = map(self._redacted, texts)
        if known and known.source is not None:
            # What was served counts, not what a client says of it.
            source, output = known.source, known.output
        stored = replace(given, correction=correction, source=source, output=output, comment=comment)
        try:
            table = FEEDBACK.table_of([stored])
        except Exception:  # the thread must go on
            log.exception("feedback on answer %s cannot be written as a row", given.id)
            self._lost_feedback(1)
            return
        self._feedback.add(table, _characters(texts))

    def _redacted(self, text: str | None) -> str | None:
        if self._redaction is None:
            self._redaction = Redaction(self.settings.redact)
        return self._redaction(text)

    def _tokens_of(self, version: str) -> Tokens | None:
        if version not in self._tokens:
            if len(self._tokens) >= 4:
                self._tokens.pop(next(iter(self._tokens)))
            self._tokens[version] = Tokens.of_model(self._model_of(int(version)))
        return self._tokens[version]

    def _lost_samples(self, rows: int) -> None:
        self._metrics.sample_drops.labels("write").inc(rows)

    def _lost_feedback(self, rows: int) -> None:
        self._metrics.sample_drops.labels("feedback").inc(rows)


def _texts(feedback: Feedback) -> tuple[str | None, str | None, str | None, str | None]:
    return feedback.correction, feedback.source, feedback.output, feedback.comment


def _characters(texts: Sequence[str | None]) -> int:
    return sum(map(len, filter(None, texts)))


def _output_tokens(answer: Answer) -> int:
    """The output's tokens without the end of sentence, which a finished output has."""
    if answer.counts is None or not answer.counts.outputs:
        return -1
    return max(0, answer.counts.outputs[0] - answer.counts.finished[0])
