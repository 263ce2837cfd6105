"""Corrections as training pairs, and ratings by version, from the log of feedback."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqline.artifacts.feedback_log import last_of_each_answer, read_feedback
from seqline.artifacts.private_files import write_private
from seqline.artifacts.request_log import read_requests
from seqline.errors import UserError
from seqline.normalization import clean
from seqline.tokenizers.chats import MARK

FORMATS = (".jsonl", ".tsv")


@dataclass(frozen=True)
class Pair:
    """A correction as a training pair.

    Attributes:
        id: The answer's id.
        time: When it was sent.
        version: The version that gave the answer.
        source: The text.
        target: The correction.
    """

    id: str
    time: datetime
    version: str
    source: str
    target: str


@dataclass(frozen=True)
class Corrections:
    """What a log has.

    Attributes:
        pairs: The pairs, oldest first; of each answer the last correction.
        left_out: Corrections that are no pair, by reason.
        unread: A message for each file that was not read.
    """

    pairs: list[Pair]
    left_out: Counter[str]
    unread: tuple[str, ...]


@dataclass(frozen=True)
class Rating:
    """The ratings of a version's answers; of each answer the last one.

    Attributes:
        mean: Their mean, from -1 to 1.
        count: Their number.
    """

    mean: float
    count: int


def corrections(address: str, start: datetime | None = None, end: datetime | None = None) -> Corrections:
    """Joins corrections with the texts that they are of.

    Args:
        address: Folder or address of the samples.
        start: Start of the window in which they were sent; None for all.
        end: End of it, which is not in it.
    """
    found = read_feedback(address, start, end, ["id", "time", "version", "correction", "source"])
    last: dict[str, dict[str, object]] = {}
    rows = [row for row in found.table.sort_by("time").to_pylist() if row["correction"] is not None]
    for row in rows:
        last.pop(row["id"], None)  # the last one has the last place
        last[row["id"]] = row
    missing = {id_ for id_, row in last.items() if row["source"] is None}
    sources, unread = _sources(address, missing) if missing else ({}, ())
    pairs, seen, left_out = [], set(), Counter[str]()
    left_out["corrected again"] = len(rows) - len(last)
    for id_, row in last.items():
        source, target = str(row["source"] or sources.get(id_) or ""), str(row["correction"])
        if not source:
            left_out["without its text"] += 1
        elif MARK in source:
            left_out["of a chat"] += 1
        elif (clean(source), clean(target)) in seen:
            left_out["equal to another one"] += 1
        else:
            seen.add((clean(source), clean(target)))
            pairs.append(Pair(id_, row["time"], str(row["version"]), source, target))  # type: ignore[arg-type]
    return Corrections(pairs, +left_out, (*found.unread, *unread))


def ratings(address: str) -> dict[str, Rating]:
    """Returns the ratings of each version's answers.

    Args:
        address: Folder or address of the samples.
    """
    table = read_feedback(address, columns=["id", "time", "version", "rating"]).table
    by_version: dict[str, list[float]] = {}
    for row in last_of_each_answer(table).to_pylist():
        if row["rating"] is not None:
            by_version.setdefault(row["version"], []).append(row["rating"])
    return {version: Rating(sum(found) / len(found), len(found)) for version, found in by_version.items()}


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Writes pairs to a file that the parameter `feedback` takes, and that its owner alone reads.

    Args:
        path: A .jsonl file, with id, time and version of each pair, or a .tsv file.
        pairs: The pairs.

    Raises:
        UserError: If it has another ending.
    """
    if path.suffix not in FORMATS:
        raise UserError(f"{path} must end in {' or '.join(FORMATS)}: corrections are lines of JSON or of a table")
    lines = lines_of(pairs) if path.suffix == ".jsonl" else _tsv(pairs)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, "".join(lines).encode())


def _sources(address: str, ids: set[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    found = read_requests(address, columns=["id", "source"])
    table = found.table.filter(pc.is_in(found.table["id"], pa.array(sorted(ids))))
    return {row["id"]: row["source"] for row in table.to_pylist() if row["source"] is not None}, found.unread


def lines_of(pairs: Sequence[Pair]) -> Iterator[str]:
    """Yields pairs as lines of JSON, with the id, the time and the version of each.

    Args:
        pairs: The pairs.
    """
    for pair in pairs:
        times = {"id": pair.id, "time": pair.time.isoformat(), "version": pair.version}
        yield json.dumps({"source": pair.source, "target": pair.target, **times}, ensure_ascii=False) + "\n"


def _tsv(pairs: Sequence[Pair]) -> Iterator[str]:
    yield "source\ttarget\n"
    for pair in pairs:
        # A cell has no tab and no line break; the corpus turns them into spaces as well.
        yield f"{clean(pair.source)}\t{clean(pair.target)}\n"
