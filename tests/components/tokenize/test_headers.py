"""The beginning of a file: byte order marks, Excel's hint, headers in other forms, and files of another kind."""

import bz2
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from seqline.components.tokenize.formats import form_of
from seqline.components.tokenize.options import Options
from seqline.errors import UserError
from tests.components.tokenize.test_rows import NO_RULES, read

PAIRS = [("one", "eins"), ("two", "zwei")]
BOM = "\ufeff"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "Source\tTARGET\none\teins\ntwo\tzwei\n"),
        ("a.tsv", " source \ttarget\t\t\none\teins\t\t\ntwo\tzwei\t\t\n"),
        ("a.tsv", BOM * 2 + "TARGET\tid\tsource\neins\t1\tone\nzwei\t2\ttwo\n"),
        ("a.tsv", "source\ttarget\r\none\teins\r\ntwo\tzwei\r\n"),
        ("a.csv", BOM + '"Source","Target"\r\n"one","eins"\r\n"two","zwei"\r\n'),
        ("a.csv", "sep=,\r\nsource,target\r\none,eins\r\ntwo,zwei\r\n"),
        ("a.csv", BOM + "sep=;\nsource;target\none;eins\ntwo;zwei\n"),
        ("a.csv", '"sep=\t"\nsource\ttarget\none\teins\ntwo\tzwei\n'),
        ("a.csv", "sep=;\none;eins\ntwo;zwei\n"),
        # Old Macs end lines with CR alone.
        ("a.csv", "source,target\rone,eins\rtwo,zwei\r"),
        ("a.csv", "source,target\rone,eins\rtwo,zwei"),
        ("a.csv", '"source","the\nid",target\none,1,eins\ntwo,2,zwei\n'),
        ("a.jsonl", BOM + '{"source": "one", "target": "eins"}\n{"source": "two", "target": "zwei"}\n'),
        # Two files with byte order marks, joined.
        ("a.jsonl", '{"source": "one", "target": "eins"}\n' + BOM + '{"source": "two", "target": "zwei"}'),
    ],
)
def test_the_header_and_the_mark_are_no_pair(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode())
    pairs, tally = read(tmp_path / name)
    assert tally.problems == []
    assert pairs == PAIRS
    assert (tally.read, tally.malformed) == (2, 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "source\ttarget\none\teins\nsource\ttarget\ntwo\tzwei\n"),
        ("a.tsv", "one\teins\n" + BOM + "Source\t Target \ntwo\tzwei\n"),
        ("a.tsv", "one\teins\tx\nsource\ttarget\ntwo\tzwei\nthree\tdrei"),
        ("a.csv", 'source,target\none,eins\n"source","target"\ntwo,zwei\n'),
        ("a.csv", '"source","target"\none,eins\n' + BOM + '"source","target"\ntwo,zwei\n'),
    ],
)
def test_a_header_in_the_middle_is_left_out_and_counted(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode())
    pairs, tally = read(tmp_path / name)
    assert ("two", "zwei") in pairs
    assert not any("source" in source.lower() for source, _ in pairs)
    assert tally.rejected["header"] == 1
    line = 3 if content.startswith(("source", '"')) else 2
    assert tally.examples["header"][0].where == f"{tmp_path / name}, line {line}"


def test_one_column_of_texts_may_hold_its_name(tmp_path: Path) -> None:
    options = Options(task="text_generation", source_field="", target_field="text", rules={})
    (tmp_path / "a.tsv").write_text("this is one\ntext\nthis is two\n")
    assert [target for _, target in read(tmp_path / "a.tsv", options)[0]] == ["text", "this is one", "this is two"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", BOM + "source;target\none;eins\n", "the header is separated by semicolons, not commas; put the line"),
        ("a.csv", '"Source"\t"Target"\none\teins\n', "the header is separated by tabs, not commas"),
        ("a.tsv", "id,source,target\n1,one,eins\n", "one column, not two (source, target): the header is separated by"),
        ("a.csv", "sep=;\nsource,target\none,eins\n", "is separated by commas, not semicolons"),
        ("a.tsv", '"source"\t"target"\n"one"\t"eins"\n', "the header is in quotes, but TSV has no quoting"),
        ("a.csv", "Source,SOURCE,target\na,b,c\n", "the header names source more than once"),
        ("a.tsv", "source\ttarget\rone\teins\rtwo\tzwei\r", "the lines end with CR alone, as on old Macs"),
        ("a.jsonl", '{"source": "one"}\r{"source": "two"}\r', "the lines end with CR alone"),
    ],
)
def test_a_beginning_of_another_form_is_named(name: str, content: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode())
    pairs, tally = read(tmp_path / name)
    assert pairs == []
    (found,) = tally.problems
    assert found.startswith(f"{tmp_path / name}, line ")
    assert problem in found


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_named_with_and_without_a_mark(name: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes("source\ttarget\none\teins\ntwo\tzwölf\n".encode(encoding))
    (problem,) = read(tmp_path / name)[1].problems
    assert f"{name}, line 1: the file is UTF-16 or UTF-32; convert it to UTF-8" in problem


TSV = b"one\teins\ntwo\tzwei\n" * 20


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"source": ["one"], "target": ["eins"]}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (gzip.compress(TSV), "the content is compressed with gzip; add .gz to its name"),
        (zstandard.compress(TSV), "the content is compressed with Zstandard; add .zst to its name"),
        (bz2.compress(TSV), "the content is compressed with bzip2; add .bz2 to its name"),
        (b"PK\x03\x04\x14\x00", "the file is a ZIP archive, as Excel's .xlsx is"),
        (b"\xfd7zXZ\x00\x00", "the file is compressed with xz"),
        (parquet_bytes(), "the file is a Parquet file; give it a name that ends in .parquet"),
    ],
    ids=["gzip", "zstd", "bzip2", "zip", "xz", "parquet"],
)
def test_a_file_of_another_kind_than_its_name_is_named(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    (found,) = read(tmp_path / "a.csv")[1].problems
    assert found.startswith(f"{tmp_path / 'a.csv'}: ")
    assert problem in found


@pytest.mark.parametrize("name", ["a.zip", "a.tsv.zip", "a.csv.xz", "a.xlsx", "a", "a.gz", "a.txt"])
def test_a_name_of_another_kind_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: input files end in \.tsv, \.csv, \.jsonl, \.parquet, alone or with"):
        form_of(name)


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.tsv.gz"])
@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b"\n\n\n"])
def test_an_empty_file_has_no_pairs_and_no_problem(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    pairs, tally = read(tmp_path / name, NO_RULES)
    assert (pairs, tally.problems, tally.malformed) == ([], [], 0)
