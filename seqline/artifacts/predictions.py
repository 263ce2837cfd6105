"""The predictions of a batch, and their layout.

    predictions/
      predictions.jsonl   a line for each line of the input, in its order, as Vertex AI's batch prediction writes them:
                          {"instance": ..., "prediction": {"text": ..., "score": ...}}
                          {"instance": ..., "error": ...} where a line is malformed or empty
      counts.json         lines, predicted, failed by reason, fingerprints of model and data

An instance is the content of the line: a text, the columns of a TSV row, a JSON value. For a malformed line it is the
line's text.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from seqline.artifacts.record import Record, Schema


@dataclass(frozen=True)
class Counts(Record):
    """The content of counts.json.

    Attributes:
        lines: Lines of the input.
        predicted: Lines that have a prediction.
        failed: The other lines, by reason.
        model_fingerprint: Fingerprint of the model; empty for a part of the batch.
        data_fingerprint: Fingerprint of the input from the snapshot stage; empty for a part of the batch.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="run batch inference again")

    lines: int
    predicted: int
    failed: dict[str, int] = field(default_factory=dict)
    model_fingerprint: str = ""
    data_fingerprint: str = ""

    def __add__(self, other: "Counts") -> "Counts":
        failed = Counter(self.failed) + Counter(other.failed)
        return Counts(self.lines + other.lines, self.predicted + other.predicted, dict(sorted(failed.items())))

    @property
    def malformed(self) -> int:
        """Lines that failed; empty lines do not count."""
        return sum(count for reason, count in self.failed.items() if reason != "empty")


@dataclass(frozen=True)
class Predictions:
    """A folder of predictions.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def lines(self) -> Path:
        """The file predictions.jsonl."""
        return self.path / "predictions.jsonl"

    @property
    def counts(self) -> Path:
        """The file counts.json."""
        return self.path / "counts.json"

    def read_counts(self) -> Counts:
        """Reads counts.json.

        Raises:
            UserError: If the folder holds no predictions.
        """
        return Counts.read(self.counts)

    def read(self) -> Iterator[dict[str, Any]]:
        """Yields the lines one by one.

        Raises:
            UserError: If the folder is incomplete.
        """
        self.read_counts()  # written last
        with self.lines.open(encoding="utf-8") as file:
            yield from map(json.loads, file)
