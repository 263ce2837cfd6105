from typing import Any

import pytest

from seqline.artifacts.opponent import Opponent


@pytest.mark.parametrize(
    "opponent",
    [
        Opponent("none"),
        Opponent("same", version="3", fingerprint="f"),
        Opponent("champion"),
        Opponent("", "", "3", "f", "/models/3", "digest"),
        Opponent("", "its files are missing", "3", checked="2026-01-01"),
    ],
)
def test_a_version_is_read_as_it_was_passed(opponent: Opponent) -> None:
    assert Opponent.from_parameter(opponent.to_parameter()) == opponent


@pytest.mark.parametrize("value", [{}, {"standing": ""}, {"standing": "absent"}, {"state": "none"}, {"version": "3"}])
def test_a_version_of_which_nothing_is_known_cannot_be_measured(value: dict[str, Any]) -> None:
    found = Opponent.from_parameter(value)
    assert (found.standing, found.problem) == ("", "it is not known whether there is a version to compare with")
