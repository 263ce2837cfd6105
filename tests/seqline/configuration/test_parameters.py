from pathlib import Path

import pytest

from seqline.configuration.parameters import Parameters, read_parameters
from seqline.errors import UserError

PARAMETERS = Parameters(
    "toy",
    {
        "data": "STRING",
        "epochs": "NUMBER_INTEGER",
        "dropout": "NUMBER_DOUBLE",
        "lower": "BOOLEAN",
        "minimums": "STRUCT",
    },
)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("data=a=b.tsv", ("data", "a=b.tsv")),
        ("data=", ("data", "")),
        ("epochs=3", ("epochs", 3)),
        ("dropout=0.1", ("dropout", 0.1)),
        ("dropout=1", ("dropout", 1.0)),
        ("lower=True", ("lower", True)),
        ('minimums={"bleu": 20}', ("minimums", {"bleu": 20})),
    ],
)
def test_values_take_the_parameter_s_type(setting: str, expected: tuple[str, object]) -> None:
    name, value = PARAMETERS.parse(setting)
    assert (name, value) == expected
    assert type(value) is type(expected[1])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "--set takes name=value, not 'epochs'"),
        ("epoch=3", "toy has no parameter 'epoch'; did you mean 'epochs'"),
        ("zzz=3", "there are: data, dropout, epochs, lower, minimums"),
        ("epochs=3.5", "parameter epochs takes a whole number, not '3.5'"),
        ("epochs=many", "parameter epochs takes a whole number, not 'many'"),
        ("epochs=true", "parameter epochs takes a whole number, not 'true'"),
        ("dropout=false", "parameter dropout takes a number, not 'false'"),
        ("lower=1", "parameter lower takes true or false, not '1'"),
        ("minimums=[1]", "parameter minimums takes a JSON object"),
    ],
)
def test_a_wrong_setting_says_what_the_parameter_takes(setting: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        PARAMETERS.parse(setting)
    assert message in str(error.value)


def test_a_missing_spec_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seqline compile --output"):
        read_parameters(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["", "a: [", "just text", "root: {}"])
def test_a_file_that_is_no_spec_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"other\.yaml is not a compiled pipeline"):
        read_parameters(path)
