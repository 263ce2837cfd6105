"""Reading rows: every row becomes a pair or is counted with its reason."""

import bz2
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from seqline.components.tokenize import blocks
from seqline.components.tokenize.blocks import CutFiles
from seqline.components.tokenize.cleaning import CleanBlocks
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.segments import open_batches
from seqline.components.tokenize.tally import Tally

PACK = {"gz": gzip.compress, "bz2": bz2.compress, "zst": zstandard.compress}
NO_RULES = Options(shards=3, task="text_generation", rules={"broken_encoding": False})


def read(path: Path, options: Options = NO_RULES, parameter: str = "data") -> tuple[list[tuple[str, ...]], Tally]:
    files, work = [Input(parameter, str(path))], path.parent
    fields = ["source", "target", *(["slice"] if options.slice_field else [])]
    found, tallies = [], []
    for block in CutFiles(files, options, str(work)).process(0):
        if hasattr(block, "value"):
            tallies.append(block.value)
            continue
        for item in CleanBlocks(files, options, 2, str(work)).process(block):
            if hasattr(item, "value"):
                tallies.append(item.value)
                continue
            part, (where, batches) = item
            for section, number in batches.items():
                table = pa.table(open_batches(where).get_batch(number))
                hashes = table["source_hash"].to_pylist()
                assert all(one % options.shards == part and one >> 63 == section for one in hashes)
                found += [tuple(row.values()) for row in table.select(fields).to_pylist()]
    return sorted(found), Tally.total(tallies)


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(PACK.get(name.rpartition(".")[2], bytes)(content))
    return path


def parquet(**columns: list[object]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=2)
    return file.getvalue()


@pytest.mark.parametrize("packed", ["", ".gz", ".bz2", ".zst"])
@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("tsv", "\ufeffone\teins\r\ntwo\u00a0 halves\tzwei Ha\u0308lften\n".encode()),
        ("csv", '\ufefftarget,id,source\r\neins,1,one\r\n"zwei\nHälften",2,"two\u00a0halves"\r\n'.encode()),
        ("jsonl", b'{"source":"one","target":"eins","id":7}\n{"target":"zwei H\\u00e4lften","source":"two halves"}\n'),
        ("parquet", parquet(target=["eins", "zwei Hälften"], source=["one", "two  halves"], id=[1, 2])),
    ],
)  # fmt: skip
def test_every_format_gives_clean_pairs(form: str, content: bytes, packed: str, tmp_path: Path) -> None:
    pairs, tally = read(write(tmp_path, f"a.{form}{packed}", content))
    assert pairs == [("one", "eins"), ("two halves", "zwei Hälften")]
    assert (tally.read, tally.rejected.total(), tally.problems) == (2, 0, [])


def test_a_header_names_the_columns_and_the_slice(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", b"domain\tde\tx\ten\nnews\teins\t1\tone\n")
    options = Options(source_field="en", target_field="de", slice_field="domain")
    assert read(path, options)[0] == [("one", "eins", "news")]


def test_question_and_context_become_one_source(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", b"who?\tAnn sang.\tAnn\n\tAnn sang.\tAnn\n")
    options = Options(task="question_answering", context_field="context")
    pairs, tally = read(path, options)
    assert pairs == [("question: who? context: Ann sang.", "Ann")]
    assert tally.rejected == {"empty": 1}


def test_text_generation_needs_no_source(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", b'{"text": "Once upon"}\n{"text": ""}\n')
    pairs, tally = read(path, Options(task="text_generation", source_field="", target_field="text"))
    assert pairs == [("", "Once upon")]
    assert tally.rejected == {"empty": 1}


@pytest.mark.parametrize(
    ("name", "row", "reason", "fault"),
    [
        ("a.tsv", b"only one", "wrong_columns", "one column, not two"),
        ("a.tsv", b"a\tb\tc", "wrong_columns", "3 columns, not two"),
        ("a.tsv", b"a\t\xff\xfe", "not_utf8", "byte 3 of the row is not UTF-8"),
        ("a.csv", b"a,b,c", "wrong_columns", "3 columns, not two"),
        ("a.csv", b'"a"x,b', "not_csv", "not valid CSV"),
        ("a.csv", b"a,\xff", "not_utf8", "byte 3 of the row is not UTF-8"),
        ("a.jsonl", b'{"source": "a"', "not_json", "not valid JSON"),
        ("a.jsonl", b'["a", "b"]', "not_json", "not a JSON object"),
        ("a.jsonl", b"[" * 100_000, "not_json", "not valid JSON"),
        ("a.jsonl", b'{"source": "a"}', "missing_field", "no field 'target'"),
        ("a.jsonl", b'{"source": "a", "target": 5}', "missing_field", "field 'target' is not a text"),
        ("a.jsonl", b'{"source": "\\ud800", "target": "b"}', "not_utf8", "half of a surrogate pair"),
    ],
)
def test_a_malformed_row_is_counted_with_its_line(
    name: str, row: bytes, reason: str, fault: str, tmp_path: Path
) -> None:
    good = {"tsv": b"one\teins\n", "csv": b"one,eins\n", "jsonl": b'{"source": "one", "target": "eins"}\n'}
    line = good[name.rpartition(".")[2]]
    path = write(tmp_path, name, line + row + b"\n" + line)
    pairs, tally = read(path)
    assert pairs == [("one", "eins")] * 2
    assert (tally.read, tally.malformed, dict(tally.rejected)) == (3, 1, {reason: 1})
    assert tally.first_malformed is not None
    assert (tally.first_malformed.path, tally.first_malformed.line) == (str(path), 2)
    assert fault in tally.first_malformed.fault
    assert tally.examples[reason][0].where == f"{path}, line 2"


def test_blank_rows_and_sides_are_empty_but_not_malformed(tmp_path: Path) -> None:
    pairs, tally = read(write(tmp_path, "a.tsv", b"\n  \na\t\n\t\n\xe2\x80\x8b\tb\n"))
    assert pairs == []
    assert (tally.read, tally.malformed, dict(tally.rejected)) == (5, 0, {"empty": 5})


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.tsv", "one\teins\n".encode("utf-16"), "line 1: the file is UTF-16"),
        ("a.csv", b"source,target,source\na,b,c\n", "line 1: the header names source more than once"),
        ("a.parquet", parquet(source=["a"], text=["b"]), "no column 'target'"),
        ("a.parquet", b"PAR1 and no more", "cannot be read"),
    ],
)
def test_an_unreadable_file_is_one_problem(name: str, content: bytes, problem: str, tmp_path: Path) -> None:
    problems = read(write(tmp_path, name, content))[1].problems
    assert len(problems) == 1
    assert f"{tmp_path / name}" in problems[0]
    assert problem in problems[0]


@pytest.mark.parametrize("packed", ["gz", "bz2", "zst"])
def test_a_truncated_file_is_a_problem_and_not_a_crash(packed: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"a.tsv.{packed}", b"".join(b"%d\teins\n" % number for number in range(50_000)))
    path.write_bytes(path.read_bytes()[:-20])
    assert [problem for problem in read(path)[1].problems if f"{path} cannot be read" in problem]
    path.write_bytes(b"packed in no way at all")
    assert "cannot be read" in read(path)[1].problems[0]


def test_a_record_without_end_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(blocks, "LONGEST_RECORD", 5000)
    path = write(tmp_path, "a.csv", b'a,b\nc,"d\n' + b"e,f\n" * 5000)
    assert "a record is longer than 0 MiB; is this a text file" in read(path)[1].problems[0]


def test_blocks_do_not_cut_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"source {number}\nmore", f'target {number}, "x"') for number in range(300)]
    content = "".join('"{}","{}"\n'.format(*(side.replace('"', '""') for side in row)) for row in rows).encode()
    path = write(tmp_path, "a.csv", content)
    whole = read(path)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 97)
    cut = read(path)
    assert cut[0] == whole[0]
    assert len(cut[0]) == cut[1].read == 300


def test_the_sample_of_rejected_rows_is_the_same_in_any_order(tmp_path: Path) -> None:
    rows = [json.dumps({"source": f"<b>{number}</b>", "target": "x"}) for number in range(100)]
    options = Options(shards=1)
    samples = []
    for order in (rows, rows[::-1]):
        path = write(tmp_path, "a.jsonl", "\n".join(order).encode())
        samples.append([example.source for example in read(path, options)[1].examples["markup"]])
    assert len(samples[0]) == 20
    assert samples[0] == samples[1]
