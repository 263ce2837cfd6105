"""Cron expressions with five fields, as Vertex and Kubeflow accept them."""

import re

FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of the week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
PART = re.compile(r"^(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?$")


def check_cron(text: str) -> str:
    """Checks a cron expression.

    Args:
        text: Five fields with `*`, lists, ranges and steps. Names of months and days are allowed.

    Returns:
        The text with single spaces.

    Raises:
        ValueError: If the number of fields is not five, or a field is outside its range.
    """
    fields = text.split()
    if len(fields) != len(FIELDS):
        names = ", ".join(name for name, *_ in FIELDS)
        zone = "; set the time zone with the key timezone" if "TZ=" in text else ""
        raise ValueError(f"a cron expression has five fields ({names}), not {len(fields)}: {text!r}{zone}")
    for field, (name, least, most, words) in zip(fields, FIELDS, strict=True):
        for part in field.split(","):
            found = PART.match(part)
            if not found:
                raise ValueError(f"the {name}, {part!r}, is not a number, range, list, step or *")
            ends = [_number(end, least, words) for end in (found["first"], found["last"]) if end]
            if any(end is None or not least <= end <= most for end in ends):
                raise ValueError(f"the {name}, {part!r}, is not between {least} and {most}")
            if len(ends) == 2 and (ends[0] or 0) > (ends[1] or 0):
                raise ValueError(f"the {name}, {part!r}, is a range that ends before it begins")
            if found["step"] == "0":
                raise ValueError(f"the {name}, {part!r}, has a step of 0")
    return " ".join(fields)


def _number(text: str, least: int, words: tuple[str, ...]) -> int | None:
    if text.isdigit():
        return int(text)
    return least + words.index(text.lower()) if text.lower() in words else None
