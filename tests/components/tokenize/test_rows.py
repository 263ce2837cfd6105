"""Reading rows: every row becomes a pair or is counted with its reason."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.tokenize.options import Options
from components.tokenize.rows import ReadPairs, place
from components.tokenize.tally import Tally


def read(path: Path, options: Options = Options(shards=3)) -> tuple[list[tuple[str, str]], Tally]:  # noqa: B008
    pairs = []
    for item in ReadPairs(options).process(("data", str(path))):
        if isinstance(item, tuple):
            shard, (given, block) = item
            assert given == "data"
            found = [tuple(row.split("\t")) for row in block.split("\n")]
            assert all(place(source) % options.shards == shard for source, _ in found)
            pairs += found
        else:
            tally = item.value
    return sorted(pairs), tally


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_tsv_rows_become_clean_pairs(name: str, tmp_path: Path) -> None:
    content = "\ufeffone\teins\r\ntwo\u00a0 halves\tzwei Ha\u0308lften\n".encode()
    assert read(write(tmp_path, name, content))[0] == [("one", "eins"), ("two halves", "zwei Hälften")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_jsonl_fields_are_named_by_options(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, b'{"en": "one", "de": "eins", "id": 7}\n{"de": "zw\\u00f6lf", "en": "a\\tb"}\n')
    pairs, tally = read(path, Options(source_field="en", target_field="de"))
    assert pairs == [("a b", "zwölf"), ("one", "eins")]
    assert (tally.read, tally.rejected.total()) == (2, 0)


@pytest.mark.parametrize(
    ("name", "row", "reason", "fault"),
    [
        ("a.tsv", b"only one", "wrong_columns", "one column, not two"),
        ("a.tsv", b"a\tb\tc", "wrong_columns", "3 columns, not two"),
        ("a.tsv", b"a\t\xff\xfe", "not_utf8", "byte 3 of the row is not UTF-8"),
        ("a.jsonl", b'{"source": "a"', "not_json", "not valid JSON"),
        ("a.jsonl", b'["a", "b"]', "not_json", "not a JSON object"),
        ("a.jsonl", b"[" * 100_000, "not_json", "not valid JSON"),
        ("a.jsonl", b'{"source": "a"}', "missing_field", "no field 'target'"),
        ("a.jsonl", b'{"source": "a", "target": 5}', "missing_field", "field 'target' is not a text"),
        ("a.jsonl", b'{"source": "\\ud800", "target": "b"}', "not_utf8", "half of a surrogate pair"),
    ],
)
def test_a_malformed_row_is_counted_with_its_place(
    name: str, row: bytes, reason: str, fault: str, tmp_path: Path
) -> None:
    good = b"one\teins\n" if name == "a.tsv" else b'{"source": "one", "target": "eins"}\n'
    path = write(tmp_path, name, good + row + b"\n" + good)
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


def test_a_truncated_gzip_is_a_problem_and_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"one\teins\n" * 50_000)[:-20])
    _, tally = read(path)
    assert len(tally.problems) == 1
    assert f"{path} cannot be read" in tally.problems[0]
    path.write_bytes(b"no gzip at all")
    assert "cannot be read: " in read(path)[1].problems[0]


@settings(max_examples=300)
@given(content=st.binary(max_size=200) | st.text('a\t\n\r "{}\\\u00e9\ufeff\x00', max_size=60).map(str.encode))
def test_no_content_loses_a_row(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    rows = len(content.split(b"\n")) - (content.endswith(b"\n") or not content)
    for name in ("fuzz.tsv", "fuzz.jsonl"):
        pairs, tally = read(write(folder, name, content))
        assert tally.read == rows
        assert tally.read == len(pairs) + tally.rejected.total()
        assert tally.malformed <= tally.rejected.total()
