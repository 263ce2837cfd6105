"""Cron expressions."""

import datetime
import re
from typing import Any

import pytest
from cronsim import CronSim
from hypothesis import assume, given
from hypothesis import strategies as st

from seqline.configuration import load
from seqline.configuration.cron import FIELDS, read_cron
from seqline.configuration.cron_warnings import cron_warnings
from seqline.configuration.loaded import ConfigurationError
from seqline.configuration.schedule import ScheduleSettings

NOW = datetime.datetime(2026, 1, 15, 12, 34, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    "text", ["* * * * *", "0 3 * * 1", "*/15 0-6 1,15 jan-mar mon-fri", "59 23 31 12 6", "0 0-23/2 * * SUN"]
)
def test_five_fields_in_their_ranges_are_accepted(text: str) -> None:
    assert read_cron(text).text == text


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("0 3 * * 7", "0 3 * * 0"),
        ("0 3 * * fri-sun", "0 3 * * 0,5,6"),
        ("0 3 * * 5-7", "0 3 * * 0,5,6"),
        ("0 3 * * 1-7", "0 3 * * 0,1,2,3,4,5,6"),
        ("0 3 * * SAT-MON", "0 3 * * 0,1,6"),
        ("0 22-2 * * *", "0 0,1,2,22,23 * * *"),
        ("0 22-2/2 * * *", "0 0,2,22 * * *"),
        ("0 3 1 nov-feb *", "0 3 1 1,2,11,12 *"),
        ("5/15 * * * *", "5-59/15 * * * *"),
        ("@daily", "0 0 * * *"),
        (" @Weekly ", "0 0 * * 0"),
        ("0  3\t* * *", "0 3 * * *"),
    ],
)
def test_what_schedulers_read_differently_is_written_as_all_read_it(text: str, normal: str) -> None:
    assert read_cron(text).text == normal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 3 * *", "five fields"),
        ("TZ=Europe/Paris 0 3 * * *", "set the time zone with the key timezone"),
        ("60 * * * *", "the minute, '60', is not between 0 and 59"),
        ("* 24 * * *", "the hour"),
        ("* * 0 * *", "the day of the month"),
        ("* * * foo *", "the month, 'foo', is not between 1 and 12, or one of jan, feb"),
        ("* * * * 8", "the day of the week"),
        ("*/0 * * * *", "a step of 0"),
        ("*/90 * * * *", "the minute, '*/90', has a step beyond its range, so it would match 0 alone"),
        ("0 */24 * * *", "cron counts within a day, not across it; write 0"),
        ("0 0 */40 * *", "the day of the month, '*/40', has a step beyond its range"),
        ("10-20/30 * * * *", "it would match 10 alone"),
        ("0 0 * * */7", "a step beyond its range"),
        ("0 0 30 2 *", "'0 0 30 2 *' never comes: the longest of its months has 29 days"),
        ("0 0 31 2,4,jun,9,11 *", "never comes: the longest of its months has 30 days"),
        ("@daily * * * *", "is not a number"),
        ("@reboot", "is not one of @yearly"),
        ("@every 90m", "write five fields"),
        ("0 3 ? * 3", "Quartz"),
        ("0 3 L * *", "is not between 1 and 31"),
        ("0 3 * * 5#2", "Quartz"),
        ("\u0663 3 * * *", "is not a number"),
    ],
)
def test_a_field_that_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_cron(text)


@st.composite
def parts(draw: st.DrawFn, number: int) -> str:
    _, least, most, words = FIELDS[number]
    ends = st.integers(least, most).map(str) | (st.sampled_from(words) if words else st.nothing())
    return draw(st.one_of(st.just("*"), ends, st.tuples(ends, ends).map("-".join)))


@given(fields=st.tuples(*map(parts, range(5))), moment=st.datetimes(datetime.datetime(2020, 1, 1)))
def test_the_normal_form_is_read_by_others_as_by_us(fields: tuple[str, ...], moment: datetime.datetime) -> None:
    try:
        cron = read_cron(" ".join(fields))
    except ValueError:
        assume(False)  # the date never comes
    moment = min(moment, datetime.datetime(2050, 1, 1)).replace(second=0, microsecond=0)
    assert cron.matches(moment) == (next(CronSim(cron.text, moment - datetime.timedelta(minutes=1))) == moment)
    assert read_cron(cron.text) == cron
    # The parser of a KFP server takes no 7 and no range that wraps.
    assert "7" not in re.split("[,-]", cron.text.split()[4])


def warned(cron: str, **values: Any) -> list[str]:
    return [message for _, message in cron_warnings(ScheduleSettings(cron=cron, **values), NOW)]


@pytest.mark.parametrize(
    ("cron", "zone", "messages"),
    [
        ("30 2 * * *", "America/New_York", ["02:30 does not exist on 2026-03-08"]),
        ("30 1 * * *", "America/New_York", ["01:30 comes twice on 2026-11-01"]),
        ("30 2 * * *", "Europe/Paris", ["02:30 does not exist on 2026-03-29", "02:30 comes twice on 2026-10-25"]),
        ("15 2 * * *", "Australia/Lord_Howe", ["02:15 does not exist on 2026-10-04"]),
        ("30 2 * * 1", "Europe/Paris", []),
        ("30 2 * * *", "UTC", []),
        ("30 2 * * *", "Asia/Tokyo", []),
        ("30 4 * * *", "Europe/Paris", []),
        ("30 * * * *", "Europe/Paris", []),
    ],
)
def test_a_time_that_the_clock_skips_or_has_twice_is_a_warning(cron: str, zone: str, messages: list[str]) -> None:
    found = warned(cron, timezone=zone)
    assert len(found) == len(messages)
    for words, message in zip(messages, found, strict=True):
        assert f"in {zone}, {words}" in message
        assert "docs/schedules.md" in message


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("*/45 * * * *", "the interval of '*/45' is shorter at the end"),
        ("0 */5 * * *", "'*/5'"),
        ("0 0 1 * 1", "days of the month and of the week, and cron runs on either"),
    ],
)
def test_an_expression_that_seldom_means_what_was_meant_is_a_warning(cron: str, message: str) -> None:
    (found,) = warned(cron)
    assert message in found


@pytest.mark.parametrize("cron", ["*/15 * * * *", "0 */6 * * *", "0 3 * * 1-5", "0 3 1 */3 *"])
def test_usual_expressions_have_no_warning(cron: str) -> None:
    assert warned(cron) == []


def test_a_schedule_without_a_run_before_its_end_is_a_warning() -> None:
    start, end = (datetime.datetime(2026, 5, day, tzinfo=datetime.timezone.utc) for day in (2, 20))
    assert "no run starts before 2026-05-20" in warned("0 3 1 * *", start=start, end=end)[0]
    assert warned("0 3 3 * *", start=start, end=end) == []
    assert "starts no more runs" in warned("0 3 * * *", end=NOW - datetime.timedelta(days=1))[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("timezone: Europe/Paris", "schedules.a.timezone: a KFP server reads cron in its own time zone"),
        ("max_runs: 3", "schedules.a.max_runs: a KFP server has no max_runs"),
        ("cache: true", "schedules.a.cache: a KFP server has no cache"),
        ("cache: false", "schedules.a.cache: a KFP server has no cache"),
        ("max_active_runs: 11", "schedules.a.max_active_runs: a KFP server runs at most 10 runs"),
    ],
)
def test_what_a_kfp_server_cannot_do_is_refused_before_anything_is_changed(
    settings: str, message: str, tmp_path: Any
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"schedules:\n  a:\n    cron: 0 3 * * 7\n    {settings}\n    target: kubeflow\n")
    with pytest.raises(ConfigurationError, match=re.escape(message)) as caught:
        load([file])
    assert caught.value.problems[0].where == f"{file}, line 4"
    file.write_text(f"schedules:\n  a:\n    cron: 0 3 * * 7\n    {settings}\n    target: vertex\n")
    assert load([file]).configuration.schedules["a"].cron == "0 3 * * 0"
