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


def test_a_key_replaces_the_one_that_it_merges_wherever_the_mapping_is_used() -> None:
    text = "a: &a {x: '1', y: '2'}\nb: &b {<<: *a, x: '3'}\nc: *b\nd: {x: '4', <<: [*b, {y: '5', z: '6'}]}\n"
    assert read(text) == {
        "a": {"x": "1", "y": "2"},
        "b": {"x": "3", "y": "2"},
        "c": {"x": "3", "y": "2"},
        "d": {"x": "4", "y": "2", "z": "6"},
    }
    with pytest.raises(UserError, match=r"line 2: b\.x is set twice; first on .*line 2"):
        read("a: &a {x: 1}\nb: {<<: *a, x: 3, x: 4}\n")


@pytest.mark.parametrize("text", ["a: &a\n  b: *a\n", "a: &a [*a]\n", "a: &a {<<: *a}\n", "a: &a {b: {<<: *a}}\n"])
def test_an_alias_of_a_value_that_contains_it_is_one_message(text: str) -> None:
    with pytest.raises(UserError, match=r"a\.yaml, line 1: an alias \(\*\) refers to a value that contains it"):
        read(text)


@pytest.mark.parametrize("text", ["b: {<<: 3}", "b: {<<: [3]}"])
def test_a_merge_of_no_mapping_is_named(text: str) -> None:
    with pytest.raises(UserError, match=r"line 1: << takes a mapping"):
        read(text)


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
