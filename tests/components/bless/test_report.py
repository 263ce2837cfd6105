import re
from dataclasses import replace
from pathlib import Path

from seqline.artifacts.evaluation import read_evaluation, write_evaluation
from tests.components.bless.evaluations import decide, measured


def test_the_report_shows_the_decision_the_scoreboard_and_the_words_that_differ(tmp_path: Path) -> None:
    rules = [{"metric": "bleu", "margin": 0.5}]
    decide(measured(tmp_path / "challenger", "new", 4), measured(tmp_path / "champion", "old", 3), rules)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    for shown in (
        "Blessed: 1 of 1 rules passed",
        "95% interval",
        "than the live version",
        "Biggest losses",
        "Biggest gains",
        "ROUGE-Lsum",
        "By length of the source",
        "p-value of sacreBLEU",
        "<svg",
    ):
        assert shown in html
    assert '<mark class="bad">wrong</mark>' in html
    assert "<script" not in html
    assert not re.search(r"\d\.\d{5}", html.partition("Provenance")[0])


def test_the_report_names_decoding_options_that_differ(tmp_path: Path) -> None:
    for name, beam in (("challenger", 4), ("champion", 1)):
        folder = measured(tmp_path / name, name, 5)
        write_evaluation(folder, replace(read_evaluation(folder), decoding={"beam_size": beam, "length_penalty": 0.6}))
    decide(tmp_path / "challenger", tmp_path / "champion")
    assert "use different decoding options: beam size." in (tmp_path / "report.html").read_text(encoding="utf-8")
