"""What the parts of the pipeline count, added up to what the driver judges and reports."""

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

SAMPLED = 20
SHOWN = 300


@dataclass(order=True, frozen=True)
class Example:
    """A row shown in the report.

    Attributes:
        order: A hash of the row: the first few by it are a sample that no worker count changes.
        where: "file, line n" where that is known.
        source: Its source, or the whole row when it could not be read; cut to 300 characters.
        target: Its target, likewise.
    """

    order: int
    where: str
    source: str
    target: str = ""


@dataclass(order=True, frozen=True)
class Malformed:
    """A row that is no pair.

    Attributes:
        path: The file.
        line: Its line, from 1.
        fault: What is wrong, and what was expected.
    """

    path: str
    line: int
    fault: str


@dataclass
class Tally:
    """Counts, added up in any order to the same sum.

    Attributes:
        read: Rows.
        malformed: Rows that are no pair.
        first_malformed: The first of them, by file and line.
        rejected: Rows left out, malformed ones included, by reason.
        candidates: Pairs of each split before their length in pieces was known.
        kept: Pairs of each split.
        augmented: Training pairs made of others, by how.
        shards: TFRecord files written.
        lengths: Training pairs by length in pieces, for "source" and for "target".
        ratios: Training pairs by twice the rounded binary logarithm of the ratio of their lengths, target to source.
        pieces: Occurrences of each piece in the training pairs, both sides.
        slices: Pairs of each slice, by split.
        examples: A few rows by reason, and of those "kept".
        problems: Why the corpus cannot be made.
    """

    read: int = 0
    malformed: int = 0
    first_malformed: Malformed | None = None
    rejected: Counter[str] = field(default_factory=Counter)
    candidates: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    augmented: Counter[str] = field(default_factory=Counter)
    shards: list[Shard] = field(default_factory=list)
    lengths: dict[str, Counter[int]] = field(default_factory=dict)
    ratios: Counter[int] = field(default_factory=Counter)
    pieces: Counter[int] = field(default_factory=Counter)
    slices: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def reject(self, reason: str, source: str, target: str = "", where: str = "") -> None:
        """Counts a row left out.

        Args:
            reason: A short name.
            source: Its source, or the whole row.
            target: Its target.
            where: File and line, where known.
        """
        self.rejected[reason] += 1
        order = _order(source[:SHOWN], target[:SHOWN])
        self._show(reason, [Example(order, where, source[:SHOWN], target[:SHOWN])])

    def reject_rows(self, reason: str, table: pa.Table, rows: npt.NDArray[np.int64], paths: Sequence[str]) -> None:
        """Counts rows of a table left out.

        Args:
            reason: A short name.
            table: Has source, target and line, and maybe file.
            rows: Which rows.
            paths: The files by number; where the table says no file, all rows are of the first.
        """
        if len(rows):
            self.rejected[reason] += len(rows)
            self.show_rows(reason, table, rows, paths)

    def show_rows(self, reason: str, table: pa.Table, rows: npt.NDArray[np.int64], paths: Sequence[str]) -> None:
        """Keeps rows as examples: those with the smallest hashes, of the first thousand."""
        found = []
        for row in table.take(pa.array(rows[:1000])).to_pylist():
            source, target = row["source"][:SHOWN], row["target"][:SHOWN]
            where = f"{paths[row.get('file', 0)]}, line {row['line']}"
            found.append(Example(_order(source, target), where, source, target))
        self._show(reason, found)

    def _show(self, reason: str, found: Iterable[Example]) -> None:
        self.examples[reason] = sorted((*self.examples.get(reason, ()), *found))[:SAMPLED]

    @staticmethod
    def total(tallies: Iterable["Tally"]) -> "Tally":
        """The sum.

        Args:
            tallies: Any number of them.
        """
        total = Tally()
        for tally in tallies:
            total.read += tally.read
            total.malformed += tally.malformed
            total.first_malformed = min(filter(None, (total.first_malformed, tally.first_malformed)), default=None)
            for name in ("rejected", "candidates", "kept", "augmented", "ratios", "pieces"):
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
        """Its text, for `from_json`."""
        return json.dumps(vars(self), default=asdict)

    @staticmethod
    def from_json(text: str) -> "Tally":
        """Reads what `to_json` wrote."""
        record: dict[str, Any] = json.loads(text)
        first = record["first_malformed"]
        return Tally(
            read=record["read"],
            malformed=record["malformed"],
            first_malformed=Malformed(**first) if first else None,
            rejected=Counter(record["rejected"]),
            candidates=Counter(record["candidates"]),
            kept=Counter(record["kept"]),
            augmented=Counter(record["augmented"]),
            shards=[Shard(**shard) for shard in record["shards"]],
            lengths={side: _by_number(lengths) for side, lengths in record["lengths"].items()},
            ratios=_by_number(record["ratios"]),
            pieces=_by_number(record["pieces"]),
            slices={split: Counter(slices) for split, slices in record["slices"].items()},
            examples={reason: [Example(**row) for row in rows] for reason, rows in record["examples"].items()},
            problems=record["problems"],
        )


def _order(source: str, target: str) -> int:
    return xxh3_64_intdigest(f"{source}\n{target}".encode())


def _by_number(counts: dict[str, int]) -> Counter[int]:
    return Counter({int(number): count for number, count in counts.items()})
