"""Renders a stage's report template to one self-contained HTML page."""

import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from seqline.html_report.bytecode import TemplateBytecode
from seqline.revision import made_by

HERE = Path(__file__).parent
MISSING = "—"


def render(template: str | Path, **values: object) -> str:
    """Renders a template that extends `page.html`.

    Besides jinja2's own filters a template has `number` (with fixed decimals), `count` (a whole number with thousands
    separators), `percent` (of a fraction), `duration` (of seconds), `signed` (a difference) and `improves` (whether a
    difference is an improvement). They print a dash for None and NaN.

    Args:
        template: The report's template file; templates in the same folder can be included by name.
        **values: The template's variables; a missing one is an error.

    Returns:
        The HTML text.
    """
    template = Path(template)
    environment = Environment(
        loader=FileSystemLoader([template.parent, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=TemplateBytecode(),
    )
    environment.filters.update(
        number=number, count=count, percent=percent, duration=duration, signed=signed, improves=improves
    )
    return environment.get_template(template.name).render(made_by=made_by(), **values)


def number(value: float | None, digits: int = 2) -> str:
    """Formats a number with fixed decimals: 1234.5 -> "1,234.50"."""
    return MISSING if _absent(value) else f"{value:,.{digits}f}"


def count(value: int | None) -> str:
    """Formats a whole number with thousands separators: 29000 -> "29,000"."""
    return MISSING if _absent(value) else f"{value:,}"


def signed(value: float | None, digits: int = 2) -> str:
    """Formats a difference with its sign: 1.5 -> "+1.50", -0.001 -> "0.00"."""
    if value is None or math.isnan(value):
        return MISSING
    rounded = round(value, digits) + 0.0  # no negative zero
    return f"{rounded:+,.{digits}f}" if rounded else number(0.0, digits)


def improves(difference: float | None, higher_is_better: bool | None) -> bool | None:
    """Whether a difference is an improvement; None where neither is better, or it rounds to zero.

    Args:
        difference: The difference.
        higher_is_better: The metric's direction.
    """
    if difference is None or higher_is_better is None or math.isnan(difference) or round(difference, 2) == 0:
        return None
    return (difference > 0) == higher_is_better


def percent(fraction: float | None, digits: int = 1) -> str:
    """Formats a fraction as a percentage: 0.125 -> "12.5%"."""
    return MISSING if fraction is None or math.isnan(fraction) else f"{100 * fraction:.{digits}f}%"


def duration(seconds: float | None) -> str:
    """Formats a time in its two largest units: 3725.0 -> "1 h 2 min"."""
    if seconds is None or math.isnan(seconds):
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60) if seconds >= 3600 else int(seconds // 60)
    if seconds < 3600:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _absent(value: float | None) -> bool:
    return value is None or math.isnan(value)
