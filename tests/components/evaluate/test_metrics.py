import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import UserError
from components.evaluate.language import bleu_tokenizer, primary
from components.evaluate.metrics import METRICS, find_metric, measure, sentence_scores

REFERENCES = [
    "Ein Hund läuft über die grüne Wiese.",
    "Zwei Männer stehen an der Straße und reden.",
    "Drei Kinder spielen im Schnee.",
    "Die Frau hält ein weißes Kätzchen im Arm.",
]
OUTPUTS = [
    "Ein Hund läuft über eine grüne Wiese.",
    "Zwei Männer stehen auf der Straße.",
    "Drei Kinder spielen im Schnee.",
    "",
]
TEXTS = st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=5)


def command_line(tmp_path: Path, *arguments: str) -> str:
    (tmp_path / "ref").write_text("\n".join(REFERENCES) + "\n", encoding="utf-8")
    (tmp_path / "out").write_text("\n".join(OUTPUTS) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "ref", "-i", "out", *arguments]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(("name", "arguments"), [("bleu", ["-m", "bleu"]), ("chrf", ["-m", "chrf"])])
def test_scores_agree_with_sacrebleus_own_command_line(tmp_path: Path, name: str, arguments: list[str]) -> None:
    figure = measure("translate", REFERENCES, OUTPUTS, "de")[name]
    assert command_line(tmp_path, *arguments, "-b", "-w", "4") == f"{figure.value:.4f}"
    printed = command_line(tmp_path, *arguments, "-f", "text")
    assert f"|{figure.signature} = " in printed


def test_rouge_agrees_with_rouge_scores_own_figures_on_english() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    references, outputs = ["the cat sat on the mat", "a red bus"], ["the cat is on a mat", "the bus"]
    figures = measure("summarize", references, outputs, "en-GB")
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for kind in ("rouge1", "rouge2", "rougeL"):
        each = [scorer.score(*pair)[kind].fmeasure for pair in zip(references, outputs, strict=True)]
        assert figures[kind].value == pytest.approx(50 * sum(each))
        assert "tok:rouge-score" in figures[kind].signature


def test_rouge_keeps_the_letters_that_rouge_scores_tokenizer_drops() -> None:
    # With [a-z0-9] alone "Größe" and "Größte" share the tokens "gr" and "e".
    figures = measure("translate", ["Größe"], ["Größte"], "de")
    assert figures["rouge1"].value == 0
    assert "tok:unicode" in figures["rouge1"].signature


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Die Straße, 12 Uhr!", ["die", "straße", "12", "uhr"]),
        ("北京2008年", ["北", "京", "2008", "年"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("ข้าว", ["ข้", "า", "ว"]),
        ("...", []),
    ],
)
def test_rouges_tokens_are_words_or_characters_by_script(text: str, tokens: list[str]) -> None:
    from components.evaluate.rouge import UnicodeTokenizer

    assert UnicodeTokenizer().tokenize(text) == tokens


def test_chinese_is_scored_in_characters() -> None:
    figures = measure("translate", ["我喜欢红色的苹果。"], ["我喜欢红色的苹果。"], "zh-Hans")
    assert figures["bleu"].value == pytest.approx(100)
    assert "tok:zh" in figures["bleu"].signature
    assert figures["rouge2"].value == 100


def test_japanese_is_scored_in_words_or_else_says_so(caplog: pytest.LogCaptureFixture) -> None:
    figures = measure("translate", ["私は赤いリンゴが好きです。"], ["私は赤いリンゴが好きです。"], "ja")
    assert figures["bleu"].value == pytest.approx(100)
    fell_back = "tok:char" in figures["bleu"].signature
    assert fell_back or "tok:ja-mecab" in figures["bleu"].signature
    assert fell_back == ("sacrebleu[ja]" in caplog.text)


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [("de", "13a"), ("", "13a"), ("zh_Hant_TW", "zh"), ("ZH", "zh"), ("th", "char"), ("zhx", "13a")],
)
def test_bleus_tokenizer_follows_the_target_language(language: str, tokenizer: str) -> None:
    assert bleu_tokenizer(language) == tokenizer


def test_a_languages_script_and_region_do_not_matter() -> None:
    assert primary("en-US") == primary("en_Latn_GB") == primary("EN") == "en"


def test_counts_by_hand() -> None:
    figures = measure("translate", REFERENCES, OUTPUTS, "de")
    assert figures["exact_match"].value == 25
    assert figures["empty_outputs"].value == 25
    assert figures["length_ratio"].value == sum(map(len, OUTPUTS)) / sum(map(len, REFERENCES))


@given(TEXTS)
def test_a_perfect_answer_is_perfect(texts: list[str]) -> None:
    references = [text + " x" for text in texts]
    figures = measure("translate", references, references, "de")
    assert figures["exact_match"].value == 100
    assert figures["chrf"].value == pytest.approx(100)
    assert figures["rouge1"].value == pytest.approx(100)
    assert figures["length_ratio"].value == 1


@given(TEXTS, st.randoms())
def test_every_figure_is_on_its_scale_and_blind_to_the_order(texts: list[str], random: object) -> None:
    outputs = list(texts)
    random.shuffle(outputs)  # type: ignore[attr-defined]
    figures = measure("translate", texts, outputs, "de")
    for name in figures.keys() - {"length_ratio"}:
        assert 0 <= figures[name].value <= 100 + 1e-6
    turned = measure("translate", texts[::-1], outputs[::-1], "de")
    assert {name: turned[name].value for name in turned} == pytest.approx(
        {name: figures[name].value for name in figures}
    )


def test_each_task_has_its_metrics() -> None:
    assert "bleu" not in measure("answer", ["yes"], ["yes"], "en")
    assert {"exact_match", "rouge1", "empty_outputs"} <= set(measure("answer", ["yes"], ["yes"], "en"))
    assert {"bleu", "chrf", "rouge1", "rouge2", "rougeL"} <= set(measure("translate", ["ja"], ["ja"], "de"))


def test_a_rule_rests_only_on_a_metric_with_a_direction() -> None:
    assert find_metric("empty_outputs", "metric").higher_is_better is False
    for name in ("length_ratio", "beu"):
        with pytest.raises(UserError, match=f"limits: '{name}' .* bleu, chrf"):
            find_metric(name, "limits")


def test_the_registry_is_read_without_the_libraries() -> None:
    code = (
        "import sys, components.evaluate.metrics; print({'sacrebleu', 'rouge_score', 'tensorflow'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_sentences_are_ranked_by_how_near_they_are() -> None:
    near, far, same = sentence_scores(["grüne Wiese"] * 3, ["grüne Wiesen", "roter Bus", "grüne Wiese"])
    assert same == pytest.approx(100)
    assert same > near > far


def test_names_are_the_registrys_keys() -> None:
    assert all(name == metric.name for name, metric in METRICS.items())
