"""Cron expressions with five fields, written so that Vertex and Kubeflow read them alike."""

import datetime
import re
from dataclasses import dataclass

FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of the week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
PART = re.compile(r"(?:\*|(?P<first>[0-9A-Za-z]+)(?:-(?P<last>[0-9A-Za-z]+))?)(?:/(?P<step>[0-9]+))?")
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
WITHIN = {
    "minute": "an hour",
    "hour": "a day",
    "day of the month": "a month",
    "month": "a year",
    "day of the week": "a week",
}
DAY_OF_MONTH, DAY_OF_WEEK = 2, 4


@dataclass(frozen=True)
class Cron:
    """A cron expression.

    Attributes:
        text: Five fields that each target reads alike: Sunday is 0, and a range that wraps is a list.
        values: The values that each field matches.
        uneven: Steps that do not divide their field, such as `*/45`.
    """

    text: str
    values: tuple[frozenset[int], ...]
    uneven: tuple[str, ...] = ()

    @property
    def either_day(self) -> bool:
        """Whether days of the month and of the week are both given: cron then runs on either."""
        fields = self.text.split()
        return not (fields[DAY_OF_MONTH].startswith("*") or fields[DAY_OF_WEEK].startswith("*"))

    def matches(self, moment: datetime.datetime) -> bool:
        """Whether a run starts at a minute of the schedule's own clock."""
        minutes, hours, days, months, weekdays = self.values
        found = (moment.day in days, moment.isoweekday() % 7 in weekdays)
        on_day = any(found) if self.either_day else all(found)
        return moment.minute in minutes and moment.hour in hours and moment.month in months and on_day


def read_cron(text: str) -> Cron:
    """Reads a cron expression.

    Args:
        text: Five fields with `*`, numbers, lists, ranges, steps and the names of months and days; or a macro such as
            `@daily`. Sunday is 0 or 7, and a range such as fri-mon or 22-2 may wrap.

    Raises:
        ValueError: If the number of fields is not five, a field is outside its range, or the date never comes.
    """
    fields = MACROS.get(text.strip().lower(), text).split()
    if text.strip().startswith("@") and len(fields) != len(FIELDS):
        raise ValueError(f"{text!r} is not one of {', '.join(MACROS)}; write five fields")
    if len(fields) != len(FIELDS):
        names = ", ".join(name for name, *_ in FIELDS)
        zone = "; set the time zone with the key timezone" if "TZ=" in text else ""
        raise ValueError(f"a cron expression has five fields ({names}), not {len(fields)}: {text!r}{zone}")
    read = [_field(field, number) for number, field in enumerate(fields)]
    values = tuple(frozenset(found) for _, found, _ in read)
    cron = Cron(" ".join(written for written, *_ in read), values, tuple(one for *_, uneven in read for one in uneven))
    longest = max(LONGEST_MONTHS[month - 1] for month in values[3])
    if min(values[DAY_OF_MONTH]) > longest and cron.text.split()[DAY_OF_WEEK].startswith("*"):
        raise ValueError(f"{text!r} never comes: the longest of its months has {longest} days")
    return cron


def _field(field: str, number: int) -> tuple[str, set[int], list[str]]:
    """Returns a field as the targets read it, its values, and its uneven steps."""
    written: list[str] = []
    values: set[int] = set()
    uneven: list[str] = []
    for part in field.split(","):
        text, found, doubt = _part(part, *FIELDS[number])
        written.append(text)
        values |= found
        uneven += doubt
    return ",".join(written), values, uneven


def _part(part: str, name: str, least: int, most: int, words: tuple[str, ...]) -> tuple[str, set[int], list[str]]:
    found = PART.fullmatch(part)
    if not found:
        hint = "; ?, L, W and # are Quartz's, not cron's" if re.search("[?LW#]", part) else ""
        raise ValueError(f"the {name}, {part!r}, is not a number, range, list, step or *{hint}")
    # Unix takes 7 for Sunday; the scheduler of a KFP server refuses it.
    top = most + (name == "day of the week")
    ends = [_number(end, least, words) for end in (found["first"], found["last"]) if end]
    if any(end is None or not least <= end <= top for end in ends):
        names = f", or one of {', '.join(words)}" if words else ""
        raise ValueError(f"the {name}, {part!r}, is not between {least} and {top}{names}")
    step, stepped = int(found["step"] or 1), bool(found["step"])
    first, last = (ends[0] or 0, ends[-1] or 0) if ends else (least, most)
    if len(ends) == 1 and stepped:
        last = most
    size = most - least + 1
    count = min(last - first + 1 if last >= first else last - first + 1 + size, size)
    if step == 0:
        raise ValueError(f"the {name}, {part!r}, has a step of 0")
    if step > 1 and step >= count:
        raise ValueError(
            f"the {name}, {part!r}, has a step beyond its range, so it would match {first} alone: cron counts within "
            f"{WITHIN[name]}, not across it; write {first}, or a list"
        )
    values = {(first + offset - least) % size + least for offset in range(0, count, step)}
    uneven = [part] if stepped and count == size and size % step else []
    if last < first or last > most:
        return ",".join(map(str, sorted(values))), values, uneven
    # Some read 5/15 as 5 alone.
    return (f"{first}-{last}/{step}" if len(ends) == 1 and stepped else part), values, uneven


def _number(text: str, least: int, words: tuple[str, ...]) -> int | None:
    if text.isdigit():
        return int(text)
    return least + words.index(text.lower()) if text.lower() in words else None
