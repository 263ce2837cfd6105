"""The page of monitoring."""

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
    furthest = shown[shown.index("Texts furthest from training") :]
    assert furthest.index("&lt;b&gt;strange&lt;/b&gt;") < furthest.index("usual text")
    assert "proven to be above 0.03. The rule asks for a retraining." in shown
    assert "Slice chat" in shown
    assert "Texts by length in tokens" in shown
    assert "http" not in shown.replace("http-equiv", "")
    log(live, 2, [])
    empty = page(live, 2, 0)
    assert "no requests" in empty
    # Texts are shown only where they are stored.
    assert "Texts furthest from training" not in empty
