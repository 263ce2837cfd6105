"""Computes the rows of sampled answers and of feedback, and writes them to their logs."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from seqline.artifacts.feedback_log import FEEDBACK, Feedback
from seqline.artifacts.request_log import REQUESTS
from seqline.endpoints.sampling import Sampling
from seqline.sampling.features import Features, Sample, Tokens, with_texts
from seqline.sampling.identification import Languages
from seqline.sampling.received_feedback import ReceivedFeedback
from seqline.sampling.redaction import Redaction
from seqline.sampling.rotating import RotatingLog, Rotation

log = logging.getLogger(__name__)

FEEDBACK_SECONDS = 1.0
"""Longest time that feedback waits for its file: people export what they have just corrected."""
MODELS = 4
"""Most versions whose tokenizers are kept."""


class Rows:
    """Computes and writes rows. For one thread at a time.

    Args:
        settings: What is sampled.
        rotation: When files of samples are written.
        identify: Identifies the language of a text; by default once the model for that is read.
    """

    def __init__(
        self,
        settings: Sampling,
        rotation: Rotation = Rotation(),  # noqa: B008 (frozen)
        identify: Callable[[str], str | None] | None = None,
    ) -> None:
        self.settings = settings
        self._models: dict[str, str | None] = {}
        self._tokens: dict[str, Tokens | None] = {}
        self._features = Features(self._tokens_of, identify or Languages().identify)
        self._redaction: Redaction | None = None
        self._sampled: Counter[str] = Counter()
        self._settled: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        rotation = replace(rotation, total_bytes=settings.megabytes * 1_000_000)
        self._samples = self._log(REQUESTS, "write", rotation)
        rotation = replace(rotation, seconds=min(rotation.seconds, FEEDBACK_SECONDS))
        self._feedback = self._log(FEEDBACK, "feedback", rotation)

    def _log(self, kind: Any, reason: str, rotation: Rotation) -> RotatingLog:
        lost, written = partial(self._lose, reason), partial(self._settle, reason)
        return RotatingLog(kind, self.settings.folder, rotation, lost, written=written)

    def add(self, answers: Sequence[tuple[Any, ...]], models: Mapping[str, str | None]) -> None:
        """Adds the rows of answers.

        Args:
            answers: The fields of `Sample` of each.
            models: The folder of the model of each version that is new.
        """
        self._models.update(models)
        if not answers:
            return
        samples, characters = list(map(Sample._make, answers)), 0
        try:
            table = self._features.table(samples)
            if self.settings.texts:
                sources = [self._redacted(sample.source) for sample in samples]
                outputs = [self._redacted(sample.output) for sample in samples]
                table = with_texts(table, sources, outputs)
                characters = sum(map(len, filter(None, (*sources, *outputs))))
        except Exception:  # the next answers are stored
            log.exception("the features of %d answers could not be computed", len(samples))
            self._lose("write", len(samples))
            return
        self._sampled.update(sample.version for sample in samples)
        self._samples.add(table, characters)

    def add_feedback(self, fields: tuple[Any, ...]) -> None:
        """Adds the row of feedback.

        Args:
            fields: Those of `ReceivedFeedback`.
        """
        given = ReceivedFeedback._make(fields)
        source, output = given.source, given.output
        if not given.redacted:
            source, output = self._redacted(source), self._redacted(output)
        try:
            stored = Feedback(
                given.id,
                datetime.fromtimestamp(given.time, timezone.utc),
                given.version,
                given.rating,
                self._redacted(given.correction),
                source,
                output,
                self._redacted(given.comment),
            )
            table = FEEDBACK.table_of([stored])
        except Exception:  # the next feedback is stored
            log.exception("feedback on answer %s cannot be written as a row", given.id)
            self._lose("feedback", 1)
            return
        self._feedback.add(table, given.characters)

    def tick(self) -> None:
        """Writes the files that are due."""
        self._samples.tick()
        self._feedback.tick()

    def finish(self) -> None:
        """Writes all that is left."""
        for one in (self._samples, self._feedback):
            one.flush()
            one.lose()

    def report(self) -> dict[str, dict[str, int]]:
        """Returns what has happened since the last report; empty if nothing has.

        Returns:
            `sampled`: the number of answers by version whose rows were computed. `settled` and `lost`: the number of
            rows of answers (`write`) and of feedback (`feedback`) that were written or lost, and that were lost.
        """
        counters = {"sampled": self._sampled, "settled": self._settled, "lost": self._lost}
        report = {name: dict(counter) for name, counter in counters.items() if counter}
        for counter in counters.values():
            counter.clear()
        return report

    def _settle(self, reason: str, rows: int) -> None:
        self._settled[reason] += rows

    def _lose(self, reason: str, rows: int) -> None:
        self._settled[reason] += rows
        self._lost[reason] += rows

    def _redacted(self, text: str | None) -> str | None:
        if self._redaction is None:
            self._redaction = Redaction(self.settings.redact)
        return self._redaction(text)

    def _tokens_of(self, version: str) -> Tokens | None:
        if version not in self._tokens:
            if len(self._tokens) >= MODELS:
                self._tokens.pop(next(iter(self._tokens)))
            model = self._models.get(version)
            self._tokens[version] = Tokens.of_model(Path(model) if model else None)
        return self._tokens[version]
