import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from seqline.html_report.page import count, duration, number, percent, render

BODY = """{% extends "page.html" %}{% import "parts.html" as parts %}
{% block title %}{{ name }}{% endblock %}
{% block content %}{{ parts.tiles([("Pairs", 29000 | count), ("BLEU", 41.016 | number, name)]) }}
{{ parts.columns(bins, label="Lengths") }}{{ parts.bar(share) }}
{{ parts.badge(name, "good") }}{% endblock %}"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(BODY, encoding="utf-8")
    return path


def page(template: Path, **changed: object) -> str:
    return render(template, **{"name": "en → de", "bins": [("1-8", 3), ("9-16", 6)], "share": 0.5} | changed)


def test_a_page_is_complete_and_shows_its_values(template: Path) -> None:
    html = page(template)
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    for shown in ("<title>en → de · Seqline</title>", "29,000", "41.02", "1-8: 3", "width:50.00%"):
        assert shown in html


def test_a_page_loads_nothing_and_runs_nothing(template: Path) -> None:
    html = page(template)
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|https?://", html)
    assert "default-src 'none'" in html


def test_texts_are_escaped(template: Path) -> None:
    attack = "<script>alert(1)</script>\"'"
    html = page(template, name=attack, bins=[(attack, 1)])
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_a_missing_value_is_an_error(template: Path) -> None:
    with pytest.raises(UndefinedError, match="share"):
        render(template, name="x", bins=[])


def test_a_histogram_without_bins_and_a_share_above_one_still_render(template: Path) -> None:
    html = page(template, bins=[], share=1.2)
    assert "width:100.00%" in html


def test_the_style_supports_light_and_dark(template: Path) -> None:
    assert "prefers-color-scheme: dark" in page(template)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(1234.5), "1,234.50"),
        (number(float("nan")), "—"),
        (number(None), "—"),
        (count(29000), "29,000"),
        (percent(0.125), "12.5%"),
        (duration(59.94), "59.9 s"),
        (duration(125), "2 min 5 s"),
        (duration(3725), "1 h 2 min"),
        (duration(7199), "2 h 0 min"),
    ],
)
def test_filters_format_numbers(shown: str, expected: str) -> None:
    assert shown == expected
