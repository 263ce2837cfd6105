"""Reading rows: every row becomes a pair or is counted with its reason."""

import bz2
import gzip
import io
import json
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.tokenize import blocks
from seqline.components.tokenize.blocks import Block, CutFiles
from seqline.components.tokenize.cleaning import CleanBlocks
from seqline.components.tokenize.corpus_checks import check_counts
from seqline.components.tokenize.formats import Input
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.records import read_records
from seqline.components.tokenize.segments import open_batches
from seqline.components.tokenize.tally import Malformed, Tally
from seqline.errors import UserError
from tests.examples import examples

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
        ("a.jsonl", b'{"source": null, "target": "b"}', "missing_field", "field 'source' is null"),
        ("a.jsonl", b'{"source": "a", "target": "b", "target": ""}', "repeated_field", "field 'target' is set twice"),
        ("a.jsonl", b'[{"source": "a", "target": "b"}]', "not_json", "has a whole object on each line, as `jq -c .[]`"),
        ("a.jsonl", b"[", "not_json", "JSON Lines has a whole object on each line"),
        ("a.csv", b"a;b", "wrong_columns", "one column, not two (source, target); are the cells separated by ';'?"),
        (
            "a.csv",
            b'"5" nails,b',
            "not_csv",
            "text follows the quote that closes a cell; write a quote",
        ),
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


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
@pytest.mark.parametrize("text", ["\u200b", "\u2060 ", "\ufeff", "\x1a"])
def test_a_line_of_invisible_characters_is_blank(name: str, text: str, tmp_path: Path) -> None:
    pair = '{"source": "a", "target": "b"}' if name == "a.jsonl" else "a,b" if name == "a.csv" else "a\tb"
    pairs, tally = read(write(tmp_path, name, f"{pair}\n{text}\n{pair}2\n{text}".replace("}2", "}").encode()))
    assert len(pairs) == 2
    assert (tally.malformed, dict(tally.rejected)) == (0, {"empty": 2})


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.tsv", "one\teins\n".encode("utf-16"), "line 1: the file is UTF-16"),
        ("a.csv", b"source,target,source\na,b,c\n", "line 1: the header names source more than once"),
        ("a.parquet", parquet(source=["a"], text=["b"]), "no column 'target'"),
        ("a.parquet", parquet(source=["a"], target=[{"en": "b"}]), "name a field of them, such as target.en"),
        (
            "a.parquet",
            parquet(source=[["a"]], target=["b"]),
            "contains list<element: string>, not texts",
        ),
        ("a.parquet", parquet(source=["a"], target=[7]), "contains int64, not texts"),
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
    (problem,) = read(path)[1].problems
    assert (
        problem
        == f"{path}, line 2: the record that begins here is longer than 0 MiB; check for a quote that is not closed"
    )


def test_blocks_do_not_cut_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"source {number}\nmore", f'target {number}, "x"') for number in range(300)]
    content = "".join('"{}","{}"\n'.format(*(side.replace('"', '""') for side in row)) for row in rows).encode()
    path = write(tmp_path, "a.csv", content)
    whole = read(path)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 97)
    cut = read(path)
    assert cut[0] == whole[0]
    assert len(cut[0]) == cut[1].read == 300


CELLS = st.text('a,"\n\r;é', max_size=4)


@examples(150)
@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=12),
    quoting=st.lists(st.sampled_from(["none", "cell", "stray"]), min_size=1, max_size=7),
    delimiter=st.sampled_from(",;"),
    size=st.integers(1, 40),
)
def test_csv_is_cut_where_the_csv_module_ends_a_record(
    rows: list[list[str]], quoting: list[str], delimiter: str, size: int
) -> None:
    kinds = cycle(quoting)
    written = {"none": str, "cell": lambda cell: '"' + cell.replace('"', '""') + '"', "stray": '"{}'.format}
    text = "".join(delimiter.join(written[next(kinds)](cell) for cell in row) + "\n" for row in rows)
    stream = io.BytesIO(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", size)
        parts = list(blocks._whole_records(b"", stream, "a.csv", "csv", delimiter, 1))
    assert b"".join(data for data, _ in parts) == text.encode()

    def records(data: bytes, first: int) -> list[Any]:
        return [
            (line, cells) for line, _, _, cells in read_records(data, Block(0, "csv", "", 0, 0, first, (), delimiter))
        ]

    found, line = [], 1
    for data, lines in parts:
        found += records(data, line)
        line += lines
    assert found == records(text.encode(), 1)


def test_a_stray_quote_is_named_where_it_stands_and_not_where_the_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2000)
    rows = [
        f'"Box {number},\nhere","Kiste {number},\nhier"\n' if number % 10 == 0 else f"{number},Zahl {number}\n"
        for number in range(1, 500)
    ]
    # In a cell that no quote opens, an inch mark is a character of the text.
    path = write(tmp_path, "a.csv", ('source,target\nA 5" nail,Ein Nagel\n' + "".join(rows)).encode())
    pairs, tally = read(path)
    assert (tally.read, tally.malformed, len(pairs)) == (500, 0, 500)
    assert ('A 5" nail', "Ein Nagel") in pairs
    # At the beginning of a cell it opens one, up to the next quote.
    path = write(tmp_path, "b.csv", ('source,target\n"A 5 nail,Ein Nagel\n' + "".join(rows)).encode())
    pairs, tally = read(path)
    assert tally.first_malformed is not None
    assert tally.first_malformed.line == 2
    assert "text follows the quote that closes a cell of 11 lines" in tally.first_malformed.fault
    # That line alone is left out.
    assert (tally.read, tally.malformed, len(pairs)) == (500, 1, 499)
    # Never closed, it is still named.
    path = write(tmp_path, "c.csv", b'source,target\n"A 5 nail,Ein Nagel\n' + b"a,b\n" * 50)
    pairs, tally = read(path)
    assert len(pairs) == 50
    assert tally.first_malformed == Malformed(
        str(path),
        2,
        "not valid CSV: a quote opens a cell of 51 lines and is never closed; write a quote of the text "
        'twice, in a cell in quotes: "5"" nails"',
    )


TEXTS = ["one", "zwölf", "three"]


@pytest.mark.parametrize(
    "texts",
    [
        pa.array(TEXTS, pa.string()),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS, pa.string_view()),
        pa.array([text.encode() for text in TEXTS], pa.binary()),
        pa.array([text.encode() for text in TEXTS], pa.large_binary()),
        pa.array(TEXTS).dictionary_encode(),
        pa.array([text.encode() for text in TEXTS], pa.binary()).dictionary_encode(),
    ],
    ids=lambda texts: str(texts.type),
)
def test_every_parquet_type_of_text_is_read(texts: pa.Array, tmp_path: Path) -> None:
    pq.write_table(pa.table({"source": texts, "target": texts}), tmp_path / "a.parquet", row_group_size=2)
    pairs, tally = read(tmp_path / "a.parquet")
    assert pairs == sorted((text, text) for text in TEXTS)
    assert (tally.read, tally.malformed, tally.problems) == (3, 0, [])


def test_a_row_of_parquet_that_is_no_text_is_counted_with_its_row(tmp_path: Path) -> None:
    texts = pa.array([b"a", b"gr\xfc\xdfe", b"c", None, b"e"], pa.binary())
    # Other writers mark such bytes as text.
    column = pa.Array.from_buffers(pa.string(), len(texts), texts.buffers(), texts.null_count)
    pq.write_table(pa.table({"source": column, "target": ["x"] * 5}), tmp_path / "a.parquet", row_group_size=2)
    pairs, tally = read(tmp_path / "a.parquet")
    assert [source for source, _ in pairs] == ["a", "c", "e"]
    assert tally.rejected == {"not_utf8": 1, "missing_field": 1}
    assert tally.first_malformed == Malformed(str(tmp_path / "a.parquet"), 2, "byte 3 of field 'source' is not UTF-8")
    assert tally.examples["missing_field"][0].where == f"{tmp_path / 'a.parquet'}, row 4"
    with pytest.raises(UserError, match=r"a\.parquet, row 2: byte 3 of field 'source' is not UTF-8"):
        check_counts(tally, NO_RULES, {})


NESTED = [{"translation": {"en": "one", "de": "eins"}}, {"translation": {"de": "zwei", "en": "two"}}]


def test_nested_fields_are_read_by_dotted_names(tmp_path: Path) -> None:
    options = Options(source_field="translation.en", target_field="translation.de", rules={})
    write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in NESTED).encode())
    pq.write_table(
        pa.Table.from_pylist([{"id": 1, **row} for row in (*NESTED, {"translation": None})]), tmp_path / "a.parquet"
    )
    for name in ("a.jsonl", "a.parquet"):
        assert read(tmp_path / name, options)[0] == [("one", "eins"), ("two", "zwei")]
    assert read(tmp_path / "a.parquet", options)[1].rejected == {"missing_field": 1}
    (problem,) = read(tmp_path / "a.parquet")[1].problems
    assert problem.endswith("no column 'source' (source_field, …); it has id, translation.en, translation.de")


def test_a_column_whose_name_has_a_dot_is_read(tmp_path: Path) -> None:
    options = Options(source_field="t.en", target_field="t.de", rules={})
    write(tmp_path, "a.jsonl", b'{"t.en": "one", "t.de": "eins", "t": {"en": "x", "de": "y"}}')
    pq.write_table(pa.table({"t.en": ["one"], "t.de": ["eins"]}), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        assert read(tmp_path / name, options)[0] == [("one", "eins")]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    columns = [pa.array(["one"]), pa.array(["eins"]), pa.array([""])]
    pq.write_table(pa.Table.from_arrays(columns, names=["source", "target", "target"]), tmp_path / "a.parquet")
    (problem,) = read(tmp_path / "a.parquet")[1].problems
    assert problem == f"{tmp_path / 'a.parquet'}: the columns name target more than once; rename a column"


@pytest.mark.parametrize("packed", ["gz", "bz2", "zst"])
def test_parts_that_were_compressed_apart_are_one_file(packed: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.tsv.{packed}"
    path.write_bytes(PACK[packed](b"one\teins") + PACK[packed](b"\ntwo\tzwei\n"))
    assert read(path)[0] == [("one", "eins"), ("two", "zwei")]


def test_the_sample_of_rejected_rows_is_the_same_in_any_order(tmp_path: Path) -> None:
    rows = [json.dumps({"source": f"<b>{number}</b>", "target": "x"}) for number in range(100)]
    options = Options(shards=1)
    samples = []
    for order in (rows, rows[::-1]):
        path = write(tmp_path, "a.jsonl", "\n".join(order).encode())
        samples.append([example.source for example in read(path, options)[1].examples["markup"]])
    assert len(samples[0]) == 20
    assert samples[0] == samples[1]
