"""The predictions of a batch, and their layout.

    predictions/
      predictions.jsonl   a line for each line of the input, in its order, as Vertex AI's batch prediction writes them:
                          {"instance": ..., "prediction": {"text": ..., "score": ...}}
                          {"instance": ..., "error": ...} where a line is no input
      counts.json         {"schema_version", "lines", "predicted", "failed": {reason: lines}, "model_fingerprint",
                           "data_fingerprint"}

An instance is what the line held: a text, the columns of a TSV row, a JSON value as it was. Of a line that cannot be
read it is the text of the line.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqline.errors import UserError

SCHEMA_VERSION = 1


@dataclass
class Counts:
    """What became of the lines.

    Attributes:
        lines: Lines of the input.
        predicted: Those that have a prediction.
        failed: The others, by reason.
    """

    lines: int = 0
    predicted: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.lines + other.lines, self.predicted + other.predicted, self.failed + other.failed)

    @property
    def malformed(self) -> int:
        """Lines that are no input; one that is empty is nothing lost."""
        return sum(self.failed.values()) - self.failed["empty"]

    def to_dict(self) -> dict[str, Any]:
        """Returns them as JSON has them."""
        return {"lines": self.lines, "predicted": self.predicted, "failed": dict(sorted(self.failed.items()))}

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Counts":
        """Reads them from what `to_dict` gave."""
        return cls(fields["lines"], fields["predicted"], Counter(fields["failed"]))


@dataclass(frozen=True)
class Predictions:
    """A folder of predictions.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def lines(self) -> Path:
        """The file of the predictions."""
        return self.path / "predictions.jsonl"

    def write_counts(self, counts: Counts, model_fingerprint: str, data_fingerprint: str) -> None:
        """Writes counts.json.

        Args:
            counts: What became of the lines.
            model_fingerprint: The model that predicted.
            data_fingerprint: The input, as snapshot fingerprints it.
        """
        fields = {
            "schema_version": SCHEMA_VERSION,
            **counts.to_dict(),
            "model_fingerprint": model_fingerprint,
            "data_fingerprint": data_fingerprint,
        }
        (self.path / "counts.json").write_text(json.dumps(fields, indent=1), encoding="utf-8")

    def read_counts(self) -> Counts:
        """Reads counts.json.

        Raises:
            UserError: If the folder holds no predictions.
        """
        try:
            return Counts.of(json.loads((self.path / "counts.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path} holds no predictions ({error}); run the batch again") from None

    def read(self) -> Iterator[dict[str, Any]]:
        """Yields the lines one by one."""
        with self.lines.open(encoding="utf-8") as file:
            yield from map(json.loads, file)
