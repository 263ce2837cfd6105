"""Schedules that are valid and may still not mean what their author thinks."""

import datetime
import zoneinfo
from collections.abc import Iterator

from seqline.configuration.cron import Cron, read_cron
from seqline.configuration.schedule import ScheduleSettings
from seqline.documentation import page

MINUTE, HOUR = datetime.timedelta(minutes=1), datetime.timedelta(hours=1)
YEAR_OF_HOURS = 24 * 366


def cron_warnings(settings: ScheduleSettings, now: datetime.datetime | None = None) -> Iterator[tuple[str, str]]:
    """Yields fields of a schedule with what may surprise about them.

    Args:
        settings: The schedule.
        now: The current time; tests set it.
    """
    now = (now or datetime.datetime.now(datetime.timezone.utc)).replace(minute=0, second=0, microsecond=0)
    cron = read_cron(settings.cron)
    for step in cron.uneven:
        yield (
            "cron",
            f"the interval of {step!r} is shorter at the end of its range, because cron starts again in each range",
        )
    if cron.either_day:
        yield "cron", f"{cron.text!r} has days of the month and of the week, and cron runs on either of them"
    if len(cron.values[1]) < 24:
        yield from (("cron", text) for text in _clock_changes(cron, settings.timezone, now))
    if settings.end and _first_run(settings, now) > settings.end:
        yield "end", f"no run starts before {settings.end}, so this schedule starts no more runs"


def _first_run(settings: ScheduleSettings, now: datetime.datetime) -> datetime.datetime:
    from cronsim import CronSim

    start = max(settings.start, now) if settings.start else now
    # The first run may start at the very minute.
    return next(CronSim(settings.cron, start.astimezone(zoneinfo.ZoneInfo(settings.timezone)) - MINUTE))


def _clock_changes(cron: Cron, timezone: str, now: datetime.datetime) -> Iterator[str]:
    """Yields the runs of the next year at a time of the day that the clock skips or has twice."""
    zone = zoneinfo.ZoneInfo(timezone)
    for hour in range(YEAR_OF_HOURS):
        moment = now + hour * HOUR
        before, after = (_offset(one, zone) for one in (moment, moment + HOUR))
        if before == after:
            continue
        change = next(one for one in (moment + m * MINUTE for m in range(1, 61)) if _offset(one, zone) == after)
        wall = change.replace(tzinfo=None) + min(before, after)
        minutes = (wall + m * MINUTE for m in range(int(abs(after - before) / MINUTE)))
        hit = next((minute for minute in minutes if cron.matches(minute)), None)
        if hit:
            problem = "does not exist" if after > before else "comes twice"
            yield f"in {timezone}, {hit:%H:%M} {problem} on {hit:%Y-%m-%d}; see {page('schedules.md')}"


def _offset(moment: datetime.datetime, zone: zoneinfo.ZoneInfo) -> datetime.timedelta:
    return moment.astimezone(zone).utcoffset() or datetime.timedelta()
