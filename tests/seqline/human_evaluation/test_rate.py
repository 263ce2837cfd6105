"""Human evaluation: the sheet, its page in a browser, the import, and the gate."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.evaluation import Evaluation, MetricValue, Sentence, append_sentences, write_evaluation
from seqline.artifacts.human_evaluation import HumanEvaluation, read_human_evaluation
from seqline.cli import main
from seqline.components.bless.options import Options
from seqline.components.bless.stage import bless
from seqline.errors import UserError
from seqline.human_evaluation.ratings import agreement_of, import_ratings, preference
from seqline.human_evaluation.sheet import FORMAT, Key, key_of, write_sheet
from seqline.metrics.batch import Batch
from seqline.metrics.resampling import compare
from seqline.metrics.statistics import Tally
from seqline.metrics.test_set import Row


def evaluated(folder: Path, model: str, outputs: list[str], corpus: str = "corpus") -> Path:
    folder.mkdir(parents=True)
    rows = [Row(f"source {n}", f"reference {n}") for n in range(len(outputs))]
    tally = Tally(folder, "translation", "de", len(rows), [])
    tally.add(rows, Batch([row.source for row in rows], [row.reference for row in rows], outputs))
    pairs = zip(rows, outputs, strict=True)
    append_sentences(folder, (Sentence(row.source, row.reference, output, -0.5) for row, output in pairs))
    write_evaluation(folder, Evaluation(False, model, corpus, len(rows), tally.metrics(), language="de"))
    return folder


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqline.components.bless.evaluation_pair.compare", partial(compare, resamples=100, trials=100))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two evaluations that differ on 30 of 40 sentences."""
    return (
        evaluated(tmp_path / "challenger", "new", [f"ours {n}" if n % 4 else "same" for n in range(40)]),
        evaluated(tmp_path / "champion", "old", [f"theirs {n}" if n % 4 else "same " for n in range(40)]),
    )


def downloaded(path: Path, key: Key, rater: str, challenger_wins: list[bool | None]) -> Path:
    """Writes the file that a rater with the key would download."""
    other = {"left": "right", "right": "left"}
    choices = [
        "equal" if won is None else side if won else other[side]
        for side, won in zip(key.sides, challenger_wins, strict=False)
    ]
    ratings = [{"pair": index, "choice": choice} for index, choice in enumerate(choices)]
    path.write_text(json.dumps({"format": FORMAT, "sheet": key.sheet, "rater": rater, "ratings": ratings}))
    return path


def test_a_sheet_has_the_pairs_that_differ_shuffled_and_does_not_name_the_models(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    key = write_sheet(*pair, tmp_path / "sheet.html", sentences=25)
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    shown = [int(number) for number in re.findall(r"<p dir=\"auto\">source (\d+)</p>", text)]
    assert len(set(shown)) == len(key.sides) == 25
    assert shown != sorted(shown)
    assert all(number % 4 for number in shown)
    assert set(key.sides) == {"left", "right"}
    assert key.identical == 0.25
    assert Key.read(key_of(tmp_path / "sheet.html")) == key
    words = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", text, flags=re.DOTALL).lower()
    assert not re.search(r"\bnew\b|\bold\b|champion|challenger", words)
    first = text.index("ours") < text.index("theirs")
    assert (key.sides[0] == "left") == first


def test_the_same_evaluations_and_seed_give_the_same_sheet(pair: tuple[Path, Path], tmp_path: Path) -> None:
    first, again, other = (write_sheet(*pair, tmp_path / f"{n}.html", seed=seed) for n, seed in enumerate((1, 1, 2)))
    assert first == again
    assert (tmp_path / "0.html").read_bytes() == (tmp_path / "1.html").read_bytes()
    assert other.sheet != first.sheet


def test_texts_of_the_corpus_are_escaped(tmp_path: Path) -> None:
    ours = evaluated(tmp_path / "a", "new", ["<script>alert(1)</script>"])
    write_sheet(ours, evaluated(tmp_path / "b", "old", [""]), tmp_path / "sheet.html")
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "alert(1)</script>" not in text
    assert "> empty<" in text


@pytest.mark.parametrize(
    ("theirs", "corpus", "message"),
    [(["ours", "same"], "corpus", "same output on all 2"), (["x", "same"], "other", "different test sets")],
)
def test_evaluations_that_cannot_be_compared_are_refused(
    tmp_path: Path, theirs: list[str], corpus: str, message: str
) -> None:
    ours = evaluated(tmp_path / "a", "new", ["ours", "same"])
    with pytest.raises(UserError, match=message):
        write_sheet(ours, evaluated(tmp_path / "b", "old", theirs, corpus), tmp_path / "sheet.html")
    assert not (tmp_path / "sheet.html").exists()
    assert not (tmp_path / "sheet.key.json").exists()


def test_a_preference_is_the_share_of_comparisons_won(pair: tuple[Path, Path], tmp_path: Path) -> None:
    key = write_sheet(*pair, tmp_path / "sheet.html")
    files = [
        downloaded(tmp_path / "1.json", key, "Ada", [True] * 20 + [False] * 10),
        downloaded(tmp_path / "2.json", key, "Ben", [True] * 15 + [None] * 5 + [False] * 10),
    ]
    found = import_ratings(files, key)
    assert (found.won, found.equal, found.lost, found.sentences, found.raters) == (35, 5, 20, 30, ["Ada", "Ben"])
    preferred, agreed = found.metrics["human_preference"], found.metrics["human_agreement"]
    assert preferred.value == pytest.approx(100 * (15 + 5 * 0.75) / 30)
    assert 0 < (preferred.low or 0) < preferred.value < (preferred.high or 0) < 100
    assert 0.8 < agreed.value < 1
    found.write(tmp_path / "human.json")
    assert read_human_evaluation(str(tmp_path / "human.json")) == found


def test_agreement_equals_krippendorffs_example() -> None:
    # Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section B: two observers, ten units.
    counts = np.array(
        [[2, 0, 0], [1, 1, 0], [1, 1, 0], [2, 0, 0], [2, 0, 0], [2, 0, 0], [1, 1, 0], [2, 0, 0], [1, 1, 0], [0, 2, 0]]
    )
    found = agreement_of(counts, 2)
    assert found is not None
    assert found.value == pytest.approx(0.095, abs=5e-4)


def test_agreement_is_missing_where_it_is_undefined() -> None:
    assert agreement_of(np.array([[1, 0, 0], [0, 0, 1]]), 1) is None
    assert agreement_of(np.array([[0, 0, 2], [0, 0, 2]]), 2) is None


@pytest.mark.parametrize(
    "counts",
    [[(0, 1, 0)] * 100, [(0, 1, 0)] * 99 + [(0, 0, 1)], [(0, 0, 1)], [(0, 0, 1)] * 3],
    ids=["all equal", "one won", "one sentence", "three sentences"],
)
def test_a_few_ratings_prove_no_preference(counts: list[tuple[int, int, int]]) -> None:
    assert (preference(np.array(counts), 1).low or 0) < 50


def test_many_ratings_prove_a_preference() -> None:
    assert (preference(np.array([(0, 0, 1)] * 40 + [(1, 0, 0)] * 10), 1).low or 0) > 60


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3).filter(any), min_size=1, max_size=12))
def test_preferences_of_the_two_models_sum_to_100(counts: list[tuple[int, int, int]]) -> None:
    ours, theirs = preference(np.array(counts), 2), preference(np.array(counts)[:, ::-1], 2)
    assert ours.value + theirs.value == pytest.approx(100)
    assert (ours.low or 0) <= ours.value + 1e-9
    assert ours.value <= (ours.high or 0) + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "has the format 'other'"),
        ({"sheet": "0"}, "belongs to the sheet 0"),
        ({"rater": " "}, "does not name a rater"),
        ({"ratings": [{"pair": 99, "choice": "left"}]}, r"rates the pair 99; the sheet has 0 to 29"),
        ({"ratings": [{"pair": 1, "choice": "up"}]}, "must be one of left, right, equal, not 'up'"),
        ({"ratings": [{"pair": 1, "choice": "left"}] * 2}, "rates the pair 1 twice"),
        ({"ratings": [{"choice": "left"}]}, "not a file downloaded from a sheet"),
        ({"ratings": []}, "contain no ratings"),
    ],
)
def test_a_file_that_is_not_a_raters_is_refused(
    pair: tuple[Path, Path], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    key = write_sheet(*pair, tmp_path / "sheet.html")
    path = downloaded(tmp_path / "r.json", key, "Ada", [True])
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        import_ratings([path], key)


def test_two_files_of_one_rater_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    key = write_sheet(*pair, tmp_path / "sheet.html")
    path = downloaded(tmp_path / "r.json", key, "Ada", [True])
    with pytest.raises(UserError, match="2 files are by the rater 'Ada'"):
        import_ratings([path, path], key)


def decide(pair: tuple[Path, Path], rules: list[dict], human: str) -> Any:
    home = pair[0].parent
    return bless(*pair, home / "decision", home / "report.html", human, Options(gate=rules))


def human(home: Path, **changes: Any) -> str:
    metrics = {
        "human_preference": MetricValue(60.0, True, "s", 52.0, 68.0),
        "human_agreement": MetricValue(0.5, True, "s", 0.4, 0.6),
    }
    found = HumanEvaluation("new", "old", "corpus", ["Ada"], 30, 18, 0, 12, metrics)
    replace(found, **changes).write(home / "human.json")
    return str(home / "human.json")


def test_rules_apply_to_metrics_of_human_evaluation(tmp_path: Path) -> None:
    pair = evaluated(tmp_path / "a", "new", ["x"]), evaluated(tmp_path / "b", "old", ["y"])
    rules = [{"metric": "human_preference", "minimum": 50, "confident": True}]
    assert decide(pair, rules, human(tmp_path)).blessed
    assert "Human evaluation" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not decide(pair, [{"metric": "human_preference", "minimum": 55, "confident": True}], human(tmp_path)).blessed
    assert not decide(pair, [{"metric": "human_agreement", "minimum": 0.6}], human(tmp_path)).blessed
    for changes, reason in (
        ({"champion": "another"}, "compares the models new and another, not new and old"),
        ({"metrics": {}}, "too few ratings"),
    ):
        made = decide(pair, rules, human(tmp_path, **changes))
        assert not made.blessed
        assert reason in made.rules[0].reason
    assert "there is no human evaluation" in decide(pair, rules, "").rules[0].reason
    with pytest.raises(
        UserError, match=r"human_evaluation: .*gone.json is missing; write it with `seqline rate import`"
    ):
        decide(pair, rules, str(tmp_path / "gone.json"))


def test_the_command_makes_a_sheet_of_the_newest_decision_and_imports_it(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["rate", "sheet"]) == 1
    assert "no run in .seqline has a decision" in capsys.readouterr().err
    run = tmp_path / ".seqline" / "runs" / "one" / "bless"
    bless(*pair, run / "decision", run / "report.html")
    assert main(["rate", "sheet", "--sentences", "10"]) == 0
    assert "10 pairs; the models agree on 25% of the test sentences" in capsys.readouterr().out
    key = Key.read(tmp_path / "sheet.key.json")
    downloaded(tmp_path / "r.json", key, "Ada", [True] * 8 + [False] * 2)
    assert main(["rate", "import", "r.json"]) == 0
    assert "Raters' preference, %: 80.00, 95% interval" in capsys.readouterr().out
    assert read_human_evaluation("human.json").metrics["human_preference"].value == pytest.approx(80)
    assert main(["rate", "import", "sheet.html"]) == 1
    assert capsys.readouterr().err.startswith("error: sheet.html is not a file downloaded from a sheet")


DRIVER = """<script>
URL.createObjectURL = (blob) => blob.text().then((text) => { document.title = text; });
HTMLAnchorElement.prototype.click = () => {};
const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
find("rater").value = "Ada L.";
find("start").requestSubmit();
KEYSTROKES.forEach(press);
press("d");
</script>"""


@pytest.mark.e2e
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_keys_rate_the_pairs_and_the_download_is_what_import_reads(pair: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "sheet.html"
    key = write_sheet(*pair, page, sentences=5)
    # Right, then back and left instead; equal; skipped; a number; with the reference in between.
    keys = json.dumps(["ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown", "s", "r", "3"])
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", DRIVER.replace("KEYSTROKES", keys) + "</body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom", page.as_uri()]
    dom = subprocess.run(["chromium", *flags], capture_output=True, text=True, check=True, timeout=60).stdout
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert title
    (tmp_path / "r.json").write_text(html.unescape(title[1]))
    found = import_ratings([tmp_path / "r.json"], key)
    assert found.raters == ["Ada L."]
    assert (found.sentences, found.equal) == (3, 1)
    won = [key.sides[0] == "left", key.sides[3] == "right"].count(True)
    assert (found.won, found.lost) == (won, 2 - won)
    assert "4 rated" not in dom
    assert re.search(r"5 of 5 · 3 rated · Ada L\.", dom)
