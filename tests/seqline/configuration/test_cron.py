"""Cron expressions."""

import pytest

from seqline.configuration.cron import check_cron


@pytest.mark.parametrize(
    "text", ["* * * * *", "0 3 * * 1", "*/15 0-6 1,15 jan-mar mon-fri", "59 23 31 12 7", "0 0/2 * * SUN"]
)
def test_five_fields_in_their_ranges_are_accepted(text: str) -> None:
    assert check_cron(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 3 * *", "five fields"),
        ("TZ=Europe/Paris 0 3 * * *", "set the time zone with the key timezone"),
        ("60 * * * *", "the minute, '60', is not between 0 and 59"),
        ("* 24 * * *", "the hour"),
        ("* * 0 * *", "the day of the month"),
        ("* * * foo *", "the month, 'foo', is not between 1 and 12"),
        ("* * * * 8", "the day of the week"),
        ("5-1 * * * *", "ends before it begins"),
        ("*/0 * * * *", "a step of 0"),
        ("@daily * * * *", "is not a number"),
    ],
)
def test_a_field_that_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_cron(text)
    assert message in str(caught.value)
