"""Options whose value may be auto."""

from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from seqline.schema.auto import AUTO, AutoCount, AutoShare, AutoSwitch, number
from seqline.schema.messages import accepted
from seqline.schema.options import BaseOptions, OptionsError
from seqline.schema.texts import Text, read_text


class Toy(BaseOptions):
    size: Literal["small", "large", "auto"] = "small"
    share: AutoShare = Field(0.1)
    steps: AutoCount = Field(4)
    switch: AutoSwitch = Field(AUTO)

    @classmethod
    def implied(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"share": AUTO, "steps": AUTO} if values.get("size") == AUTO else {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"share": 1}, "share must be at least 0 and below 1, not 1"),
        ({"share": "high"}, "share must be a number or auto, not 'high'"),
        ({"share": True}, "share must be a number or auto, not True"),
        ({"steps": 2.5}, "steps must be a whole number or auto, not 2.5"),
        ({"steps": -1}, "steps must be at least 0, not -1"),
        ({"switch": 1}, "switch must be true or false or auto, not 1"),
        ({"switch": "on"}, "switch must be true or false or auto, not 'on'"),
    ],
)
def test_what_is_neither_auto_nor_a_fitting_number_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError) as caught:
        Toy(**values)
    assert str(caught.value) == message


def test_numbers_have_the_type_of_the_number() -> None:
    options = Toy(share=0, steps=3.0)
    assert (type(options.share), type(options.steps)) == (float, int)


def test_a_text_of_the_command_line_is_a_number_or_auto() -> None:
    kind = Toy.model_fields["share"].annotation
    assert read_text(kind, Text("0.25")) == 0.25
    assert read_text(kind, Text("auto")) == AUTO
    switch = Toy.model_fields["switch"].annotation
    assert [read_text(switch, Text(text)) for text in ("true", "false", "auto")] == [True, False, AUTO]


def test_the_reference_names_bounds_and_auto() -> None:
    assert accepted(Toy.model_fields["share"]) == "number, at least 0 and below 1, or auto"
    assert accepted(Toy.model_fields["steps"]) == "whole number, at least 0, or auto"
    assert accepted(Toy.model_fields["switch"]) == "true or false, or auto"


def test_a_number_that_is_still_auto_is_not_used() -> None:
    assert number(Toy(share=0.5).share) == 0.5
    with pytest.raises(ValueError, match="still auto"):
        number(Toy(share="auto").share)


def test_a_value_that_is_set_wins_over_the_default_that_another_value_implies() -> None:
    assert Toy(size="auto") == Toy(size="auto", share="auto", steps="auto")
    options = Toy(size="auto", share=0.1)
    assert (options.share, options.steps) == (0.1, AUTO)
    # 0.1 is the default of the field, but not with this size.
    assert options.changed() == {"size": "auto", "share": 0.1}


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "size": st.sampled_from(["small", "large", "auto"]),
        "share": st.sampled_from([0.1, 0.2, "auto"]),
        "steps": st.sampled_from([4, 5, "auto"]),
    },
)


@given(VALUES)
def test_the_changed_values_make_the_same_options(values: dict[str, Any]) -> None:
    options = Toy(**values)
    assert Toy(**options.changed()) == options == Toy(**options.model_dump(mode="json"))
    assert Toy(**options.changed()).changed() == options.changed()
