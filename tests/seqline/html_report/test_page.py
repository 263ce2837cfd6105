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


def parts(tmp_path: Path, body: str, **values: object) -> str:
    path = tmp_path / "part.html"
    path.write_text('{% import "parts.html" as parts %}' + body, encoding="utf-8")
    return " ".join(re.sub("<[^>]*>", " ", render(path, **values)).split())


@pytest.mark.parametrize(
    ("difference", "higher", "shown"),
    [
        (1.5, True, "+1.50 better"),
        (1.5, False, "+1.50 worse"),
        (-1.5, False, "-1.50 better"),
        (1.5, None, "+1.50"),
        (-0.001, True, "0.00"),
    ],
)
def test_a_difference_says_in_words_whether_it_is_better(
    tmp_path: Path, difference: float, higher: bool | None, shown: str
) -> None:
    assert parts(tmp_path, "{{ parts.change(difference, higher) }}", difference=difference, higher=higher) == shown


@pytest.mark.parametrize(("tone", "shown"), [("good", "✓ x"), ("bad", "✗ x"), ("warn", "! x"), ("plain", "x")])
def test_a_badge_says_its_state_without_its_color(tmp_path: Path, tone: str, shown: str) -> None:
    assert parts(tmp_path, '{{ parts.badge("x", tone) }}', tone=tone) == shown


def test_a_histogram_names_both_axes_and_their_ends(tmp_path: Path) -> None:
    body = '{{ parts.columns([("1-8", 3), ("9-16", 6000)], label="Lengths", x="Tokens", y="Pairs") }}'
    assert parts(tmp_path, body).startswith("Lengths Pairs 6,000 0 1-8: 3 9-16: 6,000 1-8 9-16 Tokens")


def test_the_foot_names_the_version(template: Path) -> None:
    assert re.search(r"<footer>Seqline[^<]*</footer>", page(template))


TEMPLATES = [
    path
    for folder in ("components", "seqline")
    for path in (Path(__file__).parents[3] / folder).rglob("*.html")
    if "html_report" in path.read_text(encoding="utf-8") or '"parts.html"' in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_table_scrolls_by_itself_also_from_the_keyboard_and_names_its_columns(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for before, table in re.findall(r"([^\n]*)\n<table[^>]*>(.*?)</table>", text, re.DOTALL):
        assert before == '<div class="wide" tabindex="0">'
        assert "<th></th>" not in table
        assert "<thead>" in table


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
