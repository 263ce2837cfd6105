"""Lines of the input: valid, malformed and empty ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.infer.lines import parser_of, read_line
from seqline.errors import UserError


def read(line: bytes, path: str, first: bool = False) -> tuple[object, str, str]:
    found = read_line(line, first, parser_of(path, "source"))
    return found.instance, found.text, found.reason


@pytest.mark.parametrize(
    ("line", "path", "instance", "text"),
    [
        (b"a cat \r\n", "x.txt", "a cat ", "a cat "),
        ("\ufeffa cat".encode(), "x.txt.gz", "a cat", "a cat"),
        (b"a\tb\tc", "x.tsv", ["a", "b", "c"], "a"),
        (b'{"id": 7, "source": "a"}', "x.jsonl", {"id": 7, "source": "a"}, "a"),
        (b'"a cat"', "x.jsonl.gz", "a cat", "a cat"),
        ("\ufeff\ufeffa\u2028b\fc\x85d\r".encode(), "x.txt.zst", "a\u2028b\fc\x85d", "a\u2028b\fc\x85d"),
        (b"a\rb", "X.TXT", "a\rb", "a\rb"),
    ],
)
def test_an_instance_is_the_whole_content_of_its_line(line: bytes, path: str, instance: object, text: str) -> None:
    assert read(line, path, first=True) == (instance, text, "")


@pytest.mark.parametrize(
    ("line", "path", "reason"),
    [
        (b" \n", "x.txt", "empty"),
        (b"\tb", "x.tsv", "empty"),
        ("\u200b \ufeff\x00".encode(), "x.txt", "empty"),
        (b'{"source": " "}', "x.jsonl", "empty"),
        (b"\xff", "x.txt", "not_utf8"),
        (b'{"source": "\\ud800"}', "x.jsonl", "not_utf8"),
        (b"{", "x.jsonl", "not_json"),
        (b"[" * 100_000, "x.jsonl", "not_json"),
        (b"{}", "x.jsonl", "missing_field"),
        (b'{"source": 3}', "x.jsonl", "not_text"),
        (b"[3]", "x.jsonl", "not_text"),
    ],
)
def test_a_malformed_line_has_a_reason_and_no_text(line: bytes, path: str, reason: str) -> None:
    _, text, found = read(line, path)
    assert (text, found) == ("", reason)


@given(st.binary(max_size=60), st.sampled_from(["x.txt", "x.tsv", "x.jsonl"]))
def test_no_content_raises(line: bytes, path: str) -> None:
    found = read_line(line, True, parser_of(path, "source"))
    assert bool(found.text) != bool(found.error)
    found.text.encode()


def test_a_nested_field_is_read_by_its_dotted_name() -> None:
    parse = parser_of("x.jsonl", "translation.en")
    assert read_line(b'{"translation": {"en": "a", "de": "b"}}', False, parse).text == "a"
    assert read_line(b'{"translation.en": "c", "translation": {"en": "a"}}', False, parse).text == "c"
    assert read_line(b'{"translation": ["en"]}', False, parse).reason == "missing_field"


def test_a_file_with_another_suffix_is_rejected() -> None:
    with pytest.raises(UserError, match=r"data\.csv: input files end in \.txt, \.tsv, \.jsonl"):
        parser_of("data.csv", "source")
