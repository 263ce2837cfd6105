"""Counts that the steps of the pipeline collect; the driver checks and reports their sum."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from seqline.artifacts.corpus import Shard
from seqline.components.tokenize.content import Mask
from seqline.components.tokenize.formats import place

_COUNTERS = ("rejected", "candidates", "kept", "augmented", "truncated", "ratios", "tokens", "source_weights")
_EXAMPLES = 20
_EXAMPLE_CHARACTERS = 300


@dataclass(order=True, frozen=True)
class Example:
    """A row shown in the report.

    Attributes:
        order: A hash of the row: the smallest ones are a sample that does not depend on the number of workers.
        where: "file, line n" if known.
        source: Its source, or the whole row if it is malformed; cut to 300 characters.
        target: Its target; cut to 300 characters.
    """

    order: int
    where: str
    source: str
    target: str = ""


@dataclass(order=True, frozen=True)
class Malformed:
    """A malformed row.

    Attributes:
        path: The file.
        line: Its line, from 1.
        fault: The fault, and what was expected.
    """

    path: str
    line: int
    fault: str


@dataclass
class Tally:
    """Counts; their sum does not depend on the order.

    Attributes:
        read: Rows.
        malformed: Malformed rows.
        first_malformed: The first malformed row, by file and line.
        rejected: Rejected rows, malformed ones included, by reason.
        candidates: Pairs of each split before the checks of their length in tokens.
        kept: Pairs of each split.
        feedback: Training pairs that are feedback.
        corrections: Rows read of files of feedback.
        augmented: Copies of training pairs, by method.
        truncated: Pairs whose source was truncated, by split.
        shards: Files of token ids written.
        lengths: Training pairs by length in tokens, for "source" and for "target".
        ratios: Training pairs by twice the binary logarithm, rounded, of the ratio of target length to source length.
        tokens: Occurrences of each token in the training pairs, both sides, by id.
        source_weights: Of each token in the sources of the training pairs, by id: `WHOLE` divided by the number of
            tokens of the source, summed.
        slices: Pairs of each slice, by split.
        examples: A few rows by reason, and a few kept ones as "kept".
        problems: Why the corpus cannot be made.
    """

    read: int = 0
    malformed: int = 0
    first_malformed: Malformed | None = None
    rejected: Counter[str] = field(default_factory=Counter)
    candidates: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    feedback: int = 0
    corrections: int = 0
    augmented: Counter[str] = field(default_factory=Counter)
    truncated: Counter[str] = field(default_factory=Counter)
    shards: list[Shard] = field(default_factory=list)
    lengths: dict[str, Counter[int]] = field(default_factory=dict)
    ratios: Counter[int] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)
    source_weights: Counter[int] = field(default_factory=Counter)
    slices: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def reject(self, reason: str, source: str, target: str = "", where: str = "") -> None:
        """Counts a rejected row.

        Args:
            reason: A short name.
            source: Its source, or the whole row.
            target: Its target.
            where: File and line, if known.
        """
        self.rejected[reason] += 1
        order = _order(source[:_EXAMPLE_CHARACTERS], target[:_EXAMPLE_CHARACTERS])
        self._show(reason, [Example(order, where, source[:_EXAMPLE_CHARACTERS], target[:_EXAMPLE_CHARACTERS])])

    def reject_matches(self, masks: Iterable[tuple[str, Mask]], table: pa.Table, paths: Sequence[str]) -> Mask:
        """Counts rejected rows of a table, each by the first mask that matches it.

        Args:
            masks: The rejected rows by reason.
            table: Has source, target and line, and maybe file.
            paths: The files by index; without a column file, all rows belong to the first.

        Returns:
            The rows that no mask matches.
        """
        accepted = np.ones(len(table), bool)
        for reason, mask in masks:
            rows = np.flatnonzero(mask & accepted)
            if len(rows):
                self.rejected[reason] += len(rows)
                self.show_rows(reason, table, rows, paths)
                accepted[rows] = False
        return accepted

    def show_rows(self, reason: str, table: pa.Table, rows: npt.NDArray[np.int64], paths: Sequence[str]) -> None:
        """Stores rows as examples: those with the smallest hashes among the first thousand.

        Args:
            reason: A short name.
            table: As in `reject_matches`.
            rows: Indices of the rows.
            paths: As in `reject_matches`.
        """
        found = []
        for row in table.take(pa.array(rows[:1000])).to_pylist():
            source, target = row["source"][:_EXAMPLE_CHARACTERS], row["target"][:_EXAMPLE_CHARACTERS]
            where = place(paths[row.get("file", 0)], row["line"])
            found.append(Example(_order(source, target), where, source, target))
        self._show(reason, found)

    def _show(self, reason: str, found: Iterable[Example]) -> None:
        self.examples[reason] = sorted((*self.examples.get(reason, ()), *found))[:_EXAMPLES]

    @staticmethod
    def total(tallies: Iterable["Tally"]) -> "Tally":
        """Returns the sum.

        Args:
            tallies: The summands.
        """
        total = Tally()
        for tally in tallies:
            total.read += tally.read
            total.malformed += tally.malformed
            total.feedback += tally.feedback
            total.corrections += tally.corrections
            total.first_malformed = min(filter(None, (total.first_malformed, tally.first_malformed)), default=None)
            for name in _COUNTERS:
                getattr(total, name).update(getattr(tally, name))
            for name in ("lengths", "slices"):
                for key, counts in getattr(tally, name).items():
                    getattr(total, name).setdefault(key, Counter()).update(counts)
            for reason, shown in tally.examples.items():
                total._show(reason, shown)
            total.shards = sorted((*total.shards, *tally.shards), key=lambda shard: shard.file)
            total.problems = sorted((*total.problems, *tally.problems))
        return total

    def to_json(self) -> str:
        """Returns its JSON, for `from_json`."""
        return json.dumps(vars(self), default=asdict)

    @staticmethod
    def from_json(text: str) -> "Tally":
        """Reads the JSON of `to_json`."""
        record: dict[str, Any] = json.loads(text)
        first = record["first_malformed"]
        return Tally(
            read=record["read"],
            malformed=record["malformed"],
            first_malformed=Malformed(**first) if first else None,
            rejected=Counter(record["rejected"]),
            candidates=Counter(record["candidates"]),
            kept=Counter(record["kept"]),
            feedback=record["feedback"],
            corrections=record["corrections"],
            augmented=Counter(record["augmented"]),
            truncated=Counter(record["truncated"]),
            shards=[Shard(**shard) for shard in record["shards"]],
            lengths={side: _by_number(lengths) for side, lengths in record["lengths"].items()},
            ratios=_by_number(record["ratios"]),
            tokens=_by_number(record["tokens"]),
            source_weights=_by_number(record["source_weights"]),
            slices={split: Counter(slices) for split, slices in record["slices"].items()},
            examples={reason: [Example(**row) for row in rows] for reason, rows in record["examples"].items()},
            problems=record["problems"],
        )


def _order(source: str, target: str) -> int:
    return xxh3_64_intdigest(f"{source}\n{target}".encode())


def _by_number(counts: dict[str, int]) -> Counter[int]:
    return Counter({int(number): count for number, count in counts.items()})
