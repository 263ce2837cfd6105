"""Options: strict values, messages with full names, one normal form."""

import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator

from seqline.errors import UserError
from seqline.schema.options import BaseOptions, OptionsError, Part, refusing


class Limit(Part):
    metric: str
    least: float = Field(0, ge=0)


class Toy(BaseOptions):
    share: float = Field(0.1, ge=0, lt=1)
    steps: int = Field(4, ge=1, le=9)
    kind: Literal["pre", "post"] = "pre"
    tied: bool = True
    names: list[str] = Field(["a"])
    limits: list[Limit] = Field([])
    rules: dict[str, Any] = Field({})

    @field_validator("rules")
    @classmethod
    def _rules(cls, value: dict[str, Any]) -> dict[str, Any]:
        with refusing():
            if "none" in value:
                raise UserError("there is no rule 'none'")
        return value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"share": 1}, "share must be at least 0 and below 1, not 1"),
        ({"share": "0.5"}, "share must be a number, not '0.5'"),
        ({"share": math.nan}, "share must be a finite number, not nan"),
        ({"share": True}, "share must be a number, not True"),
        ({"steps": 0}, "steps must be at least 1 and at most 9, not 0"),
        ({"steps": 2.5}, "steps must be a whole number, not 2.5"),
        ({"steps": True}, "steps must be a whole number, not True"),
        ({"kind": "pos"}, "kind must be pre or post, not 'pos'; did you mean 'post'?"),
        ({"tied": "yes"}, "tied must be true or false, not 'yes'"),
        ({"names": "a"}, "names must be a list, not 'a'"),
        ({"names": ["a", 3]}, "names[1] must be text, not 3; put it in quotes"),
        ({"names": [False]}, "names[0] must be text, not false; put it in quotes"),
        ({"limits": [{"metric": "bleu", "least": -1}]}, "limits[0].least must be at least 0, not -1"),
        ({"limits": [{"least": 1}]}, "limits[0].metric is missing"),
        ({"limits": [{"metric": "bleu", "lest": 1}]}, "limits[0].lest is unknown; did you mean 'least'?"),
        ({"limits": [3]}, "limits[0] must be an object of keys and values, not 3"),
        ({"rules": {"none": 1}}, "rules: there is no rule 'none'"),
        ({"shar": 1}, "shar is unknown; did you mean 'share'?"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError) as caught:
        Toy(**values)
    assert str(caught.value) == message


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(OptionsError) as caught:
        Toy(share=1, steps=0, kid="pre")
    assert [fault.path for fault in caught.value.faults] == [("share",), ("steps",), ("kid",)]


def test_whole_numbers_may_come_as_floats_as_from_protobuf() -> None:
    assert Toy(steps=4.0, rules={"ratio": 4.0}).model_dump()["rules"] == {"ratio": 4}
    assert type(Toy(steps=4.0).steps) is int
    assert type(Toy(share=0.0).share) is float


def test_options_are_not_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Toy().share = 0.5  # type: ignore[misc]


def test_replaced_values_are_checked_again() -> None:
    assert Toy(steps=2).with_values(share=0.5) == Toy(steps=2, share=0.5)
    with pytest.raises(OptionsError, match="share must be at least 0 and below 1"):
        Toy().with_values(share=2)


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "share": st.floats(0, 0.99),
        "steps": st.integers(1, 9),
        "kind": st.sampled_from(["pre", "post"]),
        "tied": st.booleans(),
        "names": st.lists(st.text(), max_size=3),
    },
)


@given(VALUES)
def test_the_changed_values_make_the_same_options_whether_defaults_are_written_out_or_not(
    values: dict[str, Any],
) -> None:
    options = Toy(**values)
    assert Toy(**options.changed()) == options == Toy(**options.model_dump())
    assert Toy(**options.model_dump()).changed() == options.changed()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rules": {"a": math.nan}}, "rules.a must be a finite number, not nan"),
        ({"rules": {"a": {"b": [1, -math.inf]}}}, "rules.a.b[1] must be a finite number, not -inf"),
        ({"rules": {"a": 2**53 + 1}}, "rules.a must be a whole number up to 9007199254740991"),
        ({"rules": {"a": -(10**9000)}}, "not one of so many digits"),
        ({"steps": 2**53 + 1}, "steps must be at least 1 and at most 9, not 9007199254740993"),
        ({"share": -math.inf}, "share must be "),
    ],
)
def test_a_number_that_does_not_travel_is_refused_with_its_path(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError) as caught:
        Toy(**values)
    (fault,) = caught.value.faults
    assert message in str(fault)


@given(st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_every_other_number_arrives_as_it_was_sent(number: float) -> None:
    given_number = Toy(rules={"a": number}).rules["a"]
    assert given_number == number
    # A double keeps it.
    assert Toy(rules={"a": float(given_number)}).rules["a"] == number
