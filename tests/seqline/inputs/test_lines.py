"""Lines, blank texts and nested fields: the same in every command and stage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.errors import UserError
from seqline.inputs.fields import field_of
from seqline.inputs.lines import check_encoding, decode_line, is_blank, split_lines
from seqline.normalization import clean

ODD = st.text(" \t\r\f\v\x00\x1c\x85\xa0\u1680\u2003\u200b\u200d\u2028\u2060\u3000\ufeffaé", max_size=6)


@given(st.lists(ODD, max_size=8), st.booleans())
def test_lines_end_with_lf_alone(lines: list[str], ended: bool) -> None:
    content = "\n".join(lines) + ("\n" if ended else "")
    expected = content.split("\n")
    expected = expected if expected[-1] else expected[:-1]
    assert [line.decode() for line in split_lines(content.encode())] == expected


@given(ODD | st.text(max_size=6))
def test_a_text_is_blank_if_nothing_of_it_is_left_after_normalization(text: str) -> None:
    assert is_blank(text) == (clean(text) == "")


def test_every_character_alone_is_blank_as_its_normalization_is() -> None:
    characters = [chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000]
    assert [char for char in characters if is_blank(char) != (clean(char) == "")] == []


def test_the_mark_and_the_end_of_a_line_are_no_text() -> None:
    assert decode_line("\ufeff\ufeffa\r\n".encode(), first=True) == "a"
    assert decode_line("\ufeffa".encode(), first=False) == "\ufeffa"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_utf16_is_refused(encoding: str) -> None:
    with pytest.raises(UserError, match=r"^x\.txt, line 1: the file is UTF-16 or UTF-32; convert it to UTF-8"):
        check_encoding("Drei Katzen, zwölf Mäuse".encode(encoding), "x.txt")
    check_encoding("Drei Katzen, zwölf Mäuse \x00\x00\x00".encode(), "x.txt")


def test_a_dotted_name_is_a_field_of_an_object() -> None:
    record = {"a.b": 1, "a": {"b": 2, "c": {"d": 3}, "e.f": 4}}
    assert [field_of(record, name) for name in ("a.b", "a.c.d", "a.e.f")] == [1, 3, 4]
    for missing in ("b", "a.x", "a.b.c", "x.y"):
        with pytest.raises(KeyError):
            field_of(record, missing)
