"""The parameters of a compiled pipeline."""

from pathlib import Path

import pytest

from seqline.configuration.parameters import Parameters, merge, read_parameters
from seqline.errors import UserError
from seqline.schema.texts import Text

PARAMETERS = Parameters(
    "toy",
    {
        "data": "STRING",
        "epochs": "NUMBER_INTEGER",
        "dropout": "NUMBER_DOUBLE",
        "lower": "BOOLEAN",
        "minimums": "STRUCT",
        "steps": "LIST",
    },
)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("data", "a=b.tsv", "a=b.tsv"),
        ("data", "", ""),
        ("data", "2024", "2024"),
        ("epochs", "3", 3),
        ("dropout", "0.1", 0.1),
        ("dropout", "1", 1.0),
        ("dropout", "3e-3", 0.003),
        ("lower", "True", True),
        ("minimums", '{"bleu": 20}', {"bleu": 20}),
        ("steps", "[10, 50]", [10, 50]),
    ],
)
def test_text_takes_the_type_of_its_parameter(name: str, text: str, expected: object) -> None:
    value = PARAMETERS.typed(name, Text(text))
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epoch", Text("3"), "pipeline toy has no parameter 'epoch'; did you mean 'epochs'"),
        ("zzz", Text("3"), "available: data, dropout, epochs, lower, minimums, steps"),
        ("epochs", Text("3.5"), "epochs must be a whole number, not '3.5'"),
        ("epochs", Text("many"), "epochs must be a whole number, not 'many'"),
        ("epochs", Text("true"), "epochs must be a whole number, not 'true'"),
        ("epochs", "3", "epochs must be a whole number, not '3'"),
        ("dropout", Text("false"), "dropout must be a number, not 'false'"),
        ("lower", Text("1"), "lower must be true or false, not '1'"),
        ("minimums", Text("[1]"), "minimums must be an object of keys and values, not '[1]'"),
        ("steps", {"a": 1}, 'steps must be a list, not {"a": 1}'),
        ("data", None, "data must be text, not null"),
    ],
)
def test_a_wrong_value_is_refused_with_what_the_parameter_takes(name: str, value: object, message: str) -> None:
    with pytest.raises(UserError) as error:
        PARAMETERS.typed(name, value)
    assert message in str(error.value)


def test_merging_goes_key_by_key_and_replaces_lists() -> None:
    below = {"a": {"x": 1, "y": 2}, "gate": [1, 2]}
    assert merge(below, {"a": {"y": 3}, "gate": [4]}) == {"a": {"x": 1, "y": 3}, "gate": [4]}
    assert below == {"a": {"x": 1, "y": 2}, "gate": [1, 2]}


def test_a_key_is_merged_into_an_object_that_was_given_as_text() -> None:
    assert merge(Text('{"preset": "small"}'), {"epochs": 3}) == {"preset": "small", "epochs": 3}


def test_a_missing_spec_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seqline compile --output"):
        read_parameters(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["", "a: [", "just text", "root: {}"])
def test_a_file_that_is_no_spec_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"other\.yaml is not a compiled pipeline"):
        read_parameters(path)
