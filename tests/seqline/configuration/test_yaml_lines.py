"""YAML with the line of each key, and numbers with an exponent."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.configuration.yaml_lines import parse_yaml, read_yaml
from seqline.errors import UserError


def read(text: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.yaml"
        file.write_text(text, encoding="utf-8")
        return read_yaml(file).content


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_python_writes_below_parameters_is_read_as_it_is(number: float) -> None:
    assert read(f"parameters: {{a: {number!r}, b: [{number!r}]}}") == {"parameters": {"a": number, "b": [number]}}
    assert parse_yaml(repr(number), ("parameters", "a")) == number


@pytest.mark.parametrize("text", ["'3e-3'", '"3e-3"', "3e", "e3", "3e-3x", "v1e5"])
def test_what_is_quoted_or_is_not_a_number_stays_text(text: str) -> None:
    assert isinstance(read(f"parameters: {{a: {text}}}")["parameters"]["a"], str)


def test_elsewhere_digits_with_an_e_are_text() -> None:
    assert read("images: {tag: 12e4}") == {"images": {"tag": "12e4"}}
    assert parse_yaml("12e4", ("images", "tag")) == "12e4"


def test_each_key_and_each_item_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n")
    assert read_yaml(file).lines == {
        ("a",): f"{file}, line 1",
        ("a", "b"): f"{file}, line 2",
        ("a", "c"): f"{file}, line 3",
        ("a", "c", "0"): f"{file}, line 4",
        ("a", "c", "1"): f"{file}, line 5",
        ("a", "c", "1", "y"): f"{file}, line 5",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", "3"), ("true", True), ("[x, a]", ["x", "a"]), ("{a: 1.10}", {"a": "1.10"}), ("", None), ("[1", "[1")],
)
def test_a_flag_is_parsed_as_yaml_or_else_is_text(text: str, value: object) -> None:
    assert parse_yaml(text, ("images",)) == value


@pytest.mark.parametrize("cron", ["*/15 * * * *", "@daily", "* * * * *"])
def test_a_cron_expression_without_quotes_gets_the_hint_to_quote_it(cron: str) -> None:
    with pytest.raises(
        UserError, match=r"a\.yaml, line \d: not YAML: .*; put a value that begins with \* or @ in quotes"
    ):
        read(f"schedules:\n  a:\n    cron: {cron}\n")
