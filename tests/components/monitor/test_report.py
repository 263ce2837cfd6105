"""The page of monitoring."""

import html
import re
from pathlib import Path

from seqline.components.collect.stage import collect
from seqline.components.monitor.options import Options
from seqline.components.monitor.stage import monitor
from tests.monitored import end_of, endpoint, log, reference, texts


def page(live: Path, day: int, requests: int) -> str:
    folder = live.parent / str(day)
    collect(str(live), folder / "window", now=end_of(day))
    found = monitor(folder / "window", folder / "monitoring", folder / "report.html", Options(min_slice_size=20))
    assert found.window.found == requests
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_shows_alarms_slices_and_stored_texts_that_are_furthest_from_training(tmp_path: Path) -> None:
    live = endpoint(tmp_path, reference())
    log(live, 0, texts(50, seed=1), source="usual text", output="usual output", slice="chat")
    log(live, 0, texts(30, seed=2, first=200), source="<b>strange</b>", output="out")
    shown = page(live, 0, 80)
    furthest = shown[shown.index("Texts that differ most from training") :]
    assert furthest.index("&lt;b&gt;strange&lt;/b&gt;") < furthest.index("usual text")
    assert "Slice chat" in shown
    assert "Texts by length in tokens" in shown
    assert "http" not in shown.replace("http-equiv", "")
    log(live, 2, [])
    empty = page(live, 2, 0)
    assert "no requests" in empty
    # Texts are shown only where they are stored.
    assert "Texts that differ most from training" not in empty


def test_shares_of_scripts_and_languages_are_of_the_texts_whose_script_or_language_is_known(tmp_path: Path) -> None:
    live = endpoint(tmp_path, reference())
    log(live, 0, texts(45, seed=1), language="en")
    log(live, 0, texts(15, seed=2), language=None)
    options = Options(max_requests=40)
    collect(str(live), tmp_path / "window", now=end_of(0), options=options)
    monitor(tmp_path / "window", tmp_path / "monitoring", tmp_path / "report.html", options)
    shown = text((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Script Requests Share Latin 40 100" in shown
    assert re.search(r"Language Requests Share en \d+ 100", shown)


def text(page: str) -> str:
    """What a person reads, without markup."""
    body = page[page.index("<body>") :]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_top_row_says_alarms_of_rules_drift_window_and_version(tmp_path: Path) -> None:
    live = endpoint(tmp_path, reference())
    log(live, 0, texts(200, seed=1))
    calm = text(page(live, 0, 200))
    assert "demo: no alarm" in calm
    assert re.search(r"Rules in alarm 0 of 11 \d compared, \d without data Drift from training ✓ No 0 rules", calm)
    assert "Window 24 hours 2026-11-01 00:00 to 2026-11-02 00:00 UTC Live version 1 since 2026-10-01 00:00" in calm
    log(live, 1, texts(200, seed=2, first=200))
    drift = text(page(live, 1, 200))
    (alarms, rules), *_ = re.findall(r"demo: (\d+) of (\d+) rules in alarm", drift)
    assert (int(alarms) > 1, rules) == (True, "11")
    assert f"Rules in alarm {alarms} of {rules} {alarms} new, 0 of earlier windows Drift from training ! Yes" in drift
    assert "Retraining Requested by 2 rules" in drift
    # Alarms come first, with what they compare, their limit and what follows.
    assert drift.index("Alarms") < drift.index("Other rules") < drift.index("Figures")
    row = "Unusual texts compared with training ✗ new alarm requests retraining"
    assert re.search(rf"{row} \+9\d\.\d\d points above \+3\.00 points", drift)
    standing = text(page_of_quiet_day(live))
    assert "earlier windows Drift from training ! Yes" in standing
    assert "✗ alarm since 2026-11-03 00:00, requests retraining" in standing


def page_of_quiet_day(live: Path) -> str:
    log(live, 2, texts(30, seed=3, first=200))
    return page(live, 2, 30)


def test_every_figure_has_its_unit_its_direction_and_training_in_its_chart(tmp_path: Path) -> None:
    live = endpoint(tmp_path, reference())
    log(live, 0, texts(50, seed=1))
    shown = text(page(live, 0, 50))
    for row in (
        "Distance of the token frequencies ↓ distance, 0 to 1 0.",
        "Unknown tokens ↓ share of the tokens 0.00%",
        "Probability of the output per token ↑ mean, 0 to 1 0.607",
        "95th percentile of the latency in ms ↓ 20 ms",
    ):
        assert row in shown
    assert "↑ higher is better, ↓ lower is better." in shown
    assert f"seqline run --pipeline monitoring --set endpoint={live}" in shown
