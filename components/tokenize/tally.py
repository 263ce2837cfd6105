"""What the parts of the pipeline count, added up to what the driver judges and reports."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from components.tokenize.corpus import Shard

EXAMPLES = 4
SHOWN = 300


@dataclass(order=True, frozen=True)
class Example:
    """A row shown in the report.

    Attributes:
        where: "file, line n" where that is known.
        source: Its source, or the whole row when it could not be read; cut to 300 characters.
        target: Its target, likewise.
    """

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
        shards: TFRecord files written.
        lengths: Training pairs by length in pieces, for "source" and for "target".
        examples: A few rows by reason, and of those "kept".
        problems: Why the corpus cannot be made.
    """

    read: int = 0
    malformed: int = 0
    first_malformed: Malformed | None = None
    rejected: Counter[str] = field(default_factory=Counter)
    candidates: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    shards: list[Shard] = field(default_factory=list)
    lengths: dict[str, Counter[int]] = field(default_factory=dict)
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
        self.show(reason, source, target, where)

    def show(self, reason: str, source: str, target: str = "", where: str = "") -> None:
        """Keeps a row as an example while there are few."""
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append(Example(where, source[:SHOWN], target[:SHOWN]))

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
            for name in ("rejected", "candidates", "kept"):
                getattr(total, name).update(getattr(tally, name))
            for side, lengths in tally.lengths.items():
                total.lengths.setdefault(side, Counter()).update(lengths)
            for reason, shown in tally.examples.items():
                total.examples[reason] = sorted((*total.examples.get(reason, ()), *shown))[:EXAMPLES]
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
            shards=[Shard(**shard) for shard in record["shards"]],
            lengths={
                side: Counter({int(length): count for length, count in lengths.items()})
                for side, lengths in record["lengths"].items()
            },
            examples={reason: [Example(**row) for row in rows] for reason, rows in record["examples"].items()},
            problems=record["problems"],
        )
