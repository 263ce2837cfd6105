"""Plain values of YAML: the numbers of version 1.2, and texts that version 1.1 takes for something else."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.schema.texts import Text, parse
from seqline.schema.yaml_values import Unquoted, load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-3", 0.002),
        ("1E5", 1e5),
        ("-1.5e+3", -1500.0),
        (".5", 0.5),
        ("+.5e1", 5.0),
        ("5.", 5.0),
        ("+3", 3),
        ("017", 17),
        ("08", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", 1000),
        ("-.INF", -math.inf),
        ("'2e-3'", "2e-3"),
        ("NaN", "NaN"),
        ("1e", "1e"),
        ("1__0", "1__0"),
        ("v1e5", "v1e5"),
        ("~", None),
        ("no", False),
    ],
)
def test_a_plain_value_is_read_as_in_yaml_1_2(text: str, value: Any) -> None:
    read = load_yaml(text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("2024-01-01", "date"),
        ("2024-01-01T00:00:00Z", "date"),
        ("12:30", "time"),
        ("1:2:3", "time"),
        ("-1:30.5", "time"),
    ],
)
def test_a_text_that_yaml_1_1_reads_as_something_else_is_marked(text: str, meaning: str) -> None:
    read = load_yaml(text)
    assert isinstance(read, Unquoted)
    assert (read, read.meaning) == (text, meaning)
    assert type(load_yaml(f"'{text}'")) is str


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70))
def test_every_number_is_read_as_json_has_it(number: float) -> None:
    for text in (json.dumps(number), repr(number).replace("e", "E")):
        assert load_yaml(text) == parse(Text(text)) == number


@given(st.text())
def test_any_text_on_the_command_line_is_a_value(text: str) -> None:
    parse(Text(text))


def test_a_number_of_too_many_digits_stays_text() -> None:
    assert parse(Text("9" * 5000)) == "9" * 5000
