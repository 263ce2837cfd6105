"""Malformed files: each row is kept or counted with its reason, or the file is refused by name and line.

What must be found is read from the same bytes by a few lines of plain Python.
"""

import bz2
import contextlib
import gzip
import io
import json
import random
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.tokenize.options import Options
from seqline.components.tokenize.rules import RULES
from seqline.components.tokenize.stage import tokenize
from seqline.components.tokenize.tally import Tally
from seqline.errors import UserError
from seqline.inputs.lines import is_blank
from seqline.normalization import clean
from tests.components.tokenize.test_rows import read, write
from tests.examples import examples
from tests.nightly import NIGHTLY

# No rule: every pair that is no duplicate must be found again.
# `make nightly` reads ten times as many.
FILES = 20_000 if NIGHTLY else 2_000
OPTIONS = Options(shards=2, rules={name: False for name, rule in RULES.items() if rule.rejects})
PACK = {"gz": gzip.compress, "bz2": bz2.compress, "zst": zstandard.compress}
UNPACK = {"gz": gzip.decompress, "bz2": bz2.decompress, "zst": zstandard.decompress}
FORMS = ("tsv", "csv", "jsonl", "parquet")
BOM, UTF16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
NAMES = ["source", "target"]


def good(form: str, chooser: random.Random) -> bytes:
    """A file of pairs, with a header or without."""
    rows = [(f"number {number} of cats", f"Zahl {number} „von“ Katzen") for number in range(chooser.randrange(1, 30))]
    if form == "parquet":
        file = io.BytesIO()
        pq.write_table(pa.table({"source": [row[0] for row in rows], "target": [row[1] for row in rows]}), file)
        return file.getvalue()
    if form == "jsonl":
        lines = [json.dumps({"source": source, "target": target}) for source, target in rows]
    else:
        lines = [("\t" if form == "tsv" else ",").join(row) for row in rows]
        lines[:0] = ["source\ttarget" if form == "tsv" else "source,target"] * chooser.randrange(2)
    return "".join(f"{line}\n" for line in lines).encode()


def inserted(*parts: bytes) -> Callable[[bytes, random.Random], bytes]:
    """Inserts one of the parts at a random position."""

    def insert(content: bytes, chooser: random.Random) -> bytes:
        at = chooser.randrange(len(content) + 1)
        return content[:at] + chooser.choice(parts) + content[at:]

    return insert


def without_a_range(content: bytes, chooser: random.Random) -> bytes:
    at = chooser.randrange(len(content) + 1)
    return content[:at] + content[at + chooser.randrange(12) :]


FAULTS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated": lambda content, chooser: content[: chooser.randrange(len(content) + 1)],
    "wrong columns": inserted(b"\t", b",", b"\t\t", b"a\tb\tc\td\n", b"alone\n"),
    "invalid UTF-8": inserted(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80"),
    "NUL": inserted(b"\x00", b"\x00\x00\n"),
    "BOM": lambda content, _: b"\xef\xbb\xbf" + content,
    "two BOMs": lambda content, _: b"\xef\xbb\xbf" * 2 + content,
    "CRLF": lambda content, _: content.replace(b"\n", b"\r\n"),
    "CR": lambda content, _: content.replace(b"\n", b"\r"),
    "quotes": inserted(b'"', b'""', b'"\n', b',"', b'"a,b\n'),
    "blank lines": inserted(b"\n", b"\n\n  \n", b"\r\n"),
    "braces": inserted(b"{", b"}", b"[]\n", b"null\n", b'{"source": 1, "target": []}\n', b'{"source": "\\ud800"}\n'),
    "duplicate columns": lambda content, _: b"source\ttarget\tsource\n" + b"source,target,source\n" + content,
    "empty": lambda *_: b"",
    "UTF-16": lambda content, _: content.decode("utf-8", "replace").encode("utf-16"),
    "binary": lambda content, chooser: chooser.randbytes(1 + len(content)),
    "a range is missing": without_a_range,
}


def malformed(seed: int, folder: Path) -> tuple[Path, bytes | None]:
    """A file with some faults, and its content; None if its compression is broken so that nobody can say."""
    chooser = random.Random(seed)
    form, packed = chooser.choice(FORMS), chooser.choice(("", "", "gz", "bz2", "zst"))
    content = good(form, chooser)
    for fault in chooser.choices(list(FAULTS.values()), k=chooser.randrange(1, 4)):
        content = fault(content, chooser)
    path = folder / f"malformed.{form}{packed and '.'}{packed}"
    written, known = PACK.get(packed, bytes)(content), True
    if packed and chooser.random() < 0.3:
        written, known = chooser.choice((FAULTS["truncated"], FAULTS["NUL"], FAULTS["binary"]))(written, chooser), False
    path.write_bytes(written)
    return path, content if known else None


@dataclass
class Expected:
    """What a file holds: its well-formed pairs, the number of malformed rows, and whether there may be more of both."""

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    read: int = 0
    malformed: int = 0
    at_least: bool = False

    def add(self, row: list[str] | None) -> None:
        """Adds a row of two texts; None for a malformed one."""
        self.read += 1
        self.malformed += row is None
        # The header again is no pair.
        if row and all(map(clean, row)) and [clean(text).strip('" ').casefold() for text in row] != NAMES:
            self.pairs[clean(row[0]), clean(row[1])] += 1


def expected(form: str, content: bytes) -> Expected | None:
    """Reads the content of a file; None if it must be refused as a whole."""
    found = Expected()
    if form == "parquet":
        try:
            rows = pq.read_table(io.BytesIO(content), columns=NAMES).to_pylist()
        except (OSError, pa.ArrowException, KeyError):
            return None
        for row in rows:
            texts = [row[name] for name in NAMES]
            found.add(texts if all(isinstance(text, str) for text in texts) else None)
        return found
    # In UTF-16 every second byte of English text is zero.
    zeros = max(content[:1024:2].count(0), content[1:1024:2].count(0))
    if content.startswith(UTF16) or (len(content) >= 16 and zeros > 0.45 * len(content[:1024]) / 2):
        return None
    if form != "csv" and b"\n" not in content and b"\r" in content.rstrip(b"\r"):
        return None
    while content.startswith(BOM):
        content = content.removeprefix(BOM)
    ends = rb"\r\n|\r|\n" if form == "csv" else rb"\n"
    first, columns, separator = re.split(ends, content)[0], NAMES, {"tsv": "\t", "csv": ","}.get(form, "")
    if separator and not (form == "csv" and b'"' in first):
        cells = first.decode(errors="replace").rstrip("\r").split(separator)
        header = [name.strip() for name in cells]
        if set(NAMES) <= set(header):
            if len(set(header)) < len(header):
                return None
            columns, content = header, [*re.split(ends, content, maxsplit=1), b""][1]
        elif len(cells) == 1 and any(set(NAMES) <= set(map(str.strip, cells[0].split(other))) for other in "\t,;|"):
            return None
    lines = re.split(ends, content)
    for line in lines[: len(lines) - (not lines[-1])]:
        if form == "csv" and b'"' in line:
            # A quote that is out of place may change the meaning of all that follows: one row is there, maybe more.
            found.at_least = True
            found.read += 1
            break
        found.add(_cells(form, line, columns, separator))
    return found


def _cells(form: str, line: bytes, columns: list[str], separator: str) -> list[str] | None:
    """The source and target of a line; two empty texts for a blank line, None for a malformed one."""
    try:
        text = line.decode().rstrip("\r")
        if is_blank(text) and "\0" not in text:
            return ["", ""]
        if form == "jsonl":
            row = [json.loads(text.lstrip("\ufeff"))[name] for name in NAMES]
            "".join(row).encode()
            return row
    except (ValueError, TypeError, KeyError):
        return None
    cells = text.split(separator)
    return [cells[columns.index(name)] for name in NAMES] if len(cells) == len(columns) else None


def check(seed: int, folder: Path) -> str:
    """Checks the file of a seed; returns the outcome: read, bounded, refused or broken."""
    path, content = malformed(seed, folder)
    broken = content is None
    if content is None:
        with contextlib.suppress(OSError, EOFError, ValueError, zlib.error, zstandard.ZstdError):
            packed = path.read_bytes()
            content = UNPACK[path.suffix[1:]](packed) if packed else b""
    pairs, tally = read(path, OPTIONS)
    for file in folder.iterdir():
        file.unlink() if file.is_file() else shutil.rmtree(file)
    note = (seed, path.name, content)
    assert tally.read == len(pairs) + tally.rejected.total(), note
    assert bool(tally.malformed) == (tally.first_malformed is not None), note
    if tally.first_malformed is not None:
        assert tally.first_malformed.path == str(path), note
        assert tally.first_malformed.line >= 1, note
    for problem in tally.problems:
        assert str(path) in problem, (note, problem)
        assert re.search(r"line \d+|no column", problem), (note, problem)
    if content is None or (broken and tally.problems):
        assert tally.problems, note
        return "broken"
    return agree(path.name.split(".")[1], content, pairs, tally, note)


def agree(form: str, content: bytes, pairs: list[tuple[str, ...]], tally: Tally, note: object) -> str:
    """Checks that what was read of a file is what it holds; returns the outcome."""
    found = expected(form, content)
    if found is None:
        assert tally.problems, note
        assert not pairs, note
        return "refused"
    assert not tally.problems, (note, tally.problems)
    if found.at_least:
        assert not found.pairs - Counter(pairs), note
        assert found.read <= tally.read <= len(re.split(rb"\r\n|\r|\n", content)), note
        return "bounded"
    assert Counter(pairs) == found.pairs, note
    assert (tally.read, tally.malformed) == (found.read, found.malformed), note
    return "read"


@examples(150)
@given(
    form=st.sampled_from(["tsv", "csv", "jsonl"]),
    content=st.binary(max_size=200) | st.text('a\t\n\r ,"{}\\\u00e9\ufeff\x00', max_size=60).map(str.encode),
)
def test_no_content_loses_a_row(form: str, content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.getbasetemp(), f"fuzz.{form}", content)
    pairs, tally = read(path, OPTIONS)
    assert tally.read == len(pairs) + tally.rejected.total()
    agree(form, content, pairs, tally, content)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_a_malformed_file_loses_no_row(first: int, tmp_path: Path) -> None:
    outcomes = Counter(check(seed, tmp_path) for seed in range(first, first + 100))
    # The checks were made: most files can be read, and none is refused that can.
    assert outcomes["read"] > 30
    assert min(outcomes["refused"], outcomes["bounded"], outcomes["broken"]) > 0


@pytest.mark.e2e
@pytest.mark.parametrize("first", range(400, 400 + FILES, 1000))
def test_no_malformed_file_of_thousands_loses_a_row(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 1000):
        check(seed, tmp_path)


@pytest.mark.parametrize("content", [b"x" * (10 << 20), b"x" * (5 << 20) + b"\t" + b"y" * (5 << 20)])
def test_a_line_of_ten_megabytes_is_one_row_left_out(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "long.tsv").write_bytes(b"one\teins\n" + content + b"\ntwo\tzwei\n")
    pairs, tally = read(tmp_path / "long.tsv", OPTIONS)
    assert pairs == [("one", "eins"), ("two", "zwei")]
    assert (tally.read, tally.rejected.total()) == (3, 1)


@pytest.mark.e2e
@pytest.mark.parametrize("seed", range(20_000, 20_012))
def test_the_stage_leaves_a_whole_corpus_or_none(seed: int, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    lines = "".join(f"number {number} of cats\tZahl {number} von Katzen\n" for number in range(60))
    (inputs / "good.tsv").write_text(lines)
    path, _ = malformed(seed, inputs)
    options = Options(vocabulary_size=320, valid_share=0.1, test_share=0.1, max_malformed_share=0.5)
    try:
        manifest = tokenize(f"{inputs}/good.tsv,{path}", tmp_path / "corpus", tmp_path / "report.html", options=options)
    except UserError as refused:
        message = str(refused)
    else:
        message = ""
        counts = manifest.counts
        assert counts.read == counts.kept + sum(counts.rejected.values()) >= 60
    assert not message or (path.name in message and not (tmp_path / "corpus").exists())
    assert {file.name for file in tmp_path.iterdir()} <= {"inputs", "corpus", "report.html"}
