import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.errors import UserError
from seqline.metrics.batch import Batch
from seqline.metrics.language import bleu_tokenizer
from seqline.metrics.metrics import HEADLINES, METRICS, RANKINGS, TASKS, counted, find_metric

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


def measure(
    task: str, references: list[str], outputs: list[str], language: str, sources: list[str] | None = None
) -> dict[str, float]:
    batch = Batch(sources or references, references, outputs)
    found = {}
    for metric in counted(task):
        if metric.name != "perplexity":
            counter = metric.counts(language)
            numbers = counter.count(batch)
            assert numbers.shape == (len(outputs), counter.columns)
            found[metric.name] = float(counter.score(numbers.sum(axis=0, keepdims=True))[0])
    return found


def sacrebleu(folder: Path, references: list[str], outputs: list[str], *arguments: str) -> Any:
    (folder / "ref").write_text("\n".join(references) + "\n", encoding="utf-8")
    (folder / "out").write_text("\n".join(outputs) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "ref", "-i", "out", "-w", "9", *arguments]
    return json.loads(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout)


def test_scores_agree_with_sacrebleus_command_line_to_the_last_digit(tmp_path: Path) -> None:
    values = measure("translation", REFERENCES, OUTPUTS, "de")
    printed = sacrebleu(tmp_path, REFERENCES, OUTPUTS, "-m", "bleu", "chrf", "ter", "--chrf-word-order", "2")
    for name, theirs in zip(("bleu", "chrf", "ter"), printed, strict=True):
        assert f"{theirs['score']:.9f}" == f"{values[name]:.9f}"
        assert theirs["signature"] == METRICS[name].counts("de").signature


@pytest.mark.parametrize(
    ("language", "tokenizer", "reference", "output"),
    [
        ("zh-Hans", "zh", "我喜欢红色的苹果。", "我爱红色的苹果。"),
        ("ja", "ja-mecab", "私は赤いリンゴが好きです。", "私は赤いリンゴが大好きです。"),
        ("ko-KR", "ko-mecab", "나는 빨간 사과를 사랑합니다.", "나는 빨간 사과를 좋아합니다."),
    ],
)
def test_languages_without_spaces_and_korean_agree_too(
    tmp_path: Path, language: str, tokenizer: str, reference: str, output: str
) -> None:
    flags = ["-m", "bleu", "chrf", "ter", "--chrf-word-order", "2", "-tok", tokenizer]
    flags += [] if language == "ko-KR" else ["--ter-normalized", "--ter-asian-support"]
    values = measure("translation", [reference], [output], language)
    for name, theirs in zip(("bleu", "chrf", "ter"), sacrebleu(tmp_path, [reference], [output], *flags), strict=True):
        assert f"{theirs['score']:.9f}" == f"{values[name]:.9f}"
        assert theirs["signature"] == METRICS[name].counts(language).signature
    assert 0 < values["ter"] < 100


def test_rouge_agrees_with_rouge_scores_command_line_on_english(tmp_path: Path) -> None:
    references = ["the cat sat on the mat", "a red bus", "one two three four"]
    outputs = ["the cat is on a mat", "the bus", "four three two"]
    (tmp_path / "r").write_text("\n".join(references) + "\n")
    (tmp_path / "o").write_text("\n".join(outputs) + "\n")
    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    flags = ["--target_filepattern=r", "--prediction_filepattern=o", "--output_filename=scores.csv", "--noaggregate"]
    command = [sys.executable, "-m", "rouge_score.rouge", *flags, f"--rouge_types={','.join(kinds)}"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    rows = list(csv.DictReader((tmp_path / "scores.csv").open()))
    for kind in kinds:
        numbers = METRICS[kind].counts("en-GB").count(Batch(references, references, outputs))
        assert [f"{f1:.6f}" for f1 in numbers[:, 0]] == [row[f"{kind}-F"] for row in rows]


def test_rouge_lsum_treats_lines_as_sentences() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    references, outputs = ["one two\nthree four", "a b"], ["three four\none two", "b a"]
    scorer = RougeScorer(["rougeLsum"])
    theirs = [scorer.score(*pair)["rougeLsum"].fmeasure for pair in zip(references, outputs, strict=True)]
    values = measure("summarization", references, outputs, "en")
    assert values["rougeLsum"] == pytest.approx(50 * sum(theirs))
    assert values["rougeLsum"] > values["rougeL"]


def test_rouge_keeps_the_letters_that_rouge_scores_tokenizer_drops() -> None:
    # With [a-z0-9] alone "Größe" and "Größte" share the tokens "gr" and "e".
    assert measure("translation", ["Größe"], ["Größte"], "de")["rouge1"] == 0
    assert "tok:unicode" in METRICS["rouge1"].counts("de").signature


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
    from seqline.metrics.rouge import UnicodeTokenizer

    assert UnicodeTokenizer().tokenize(text) == tokens


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [
        ("de", "13a"), ("", "13a"), ("zh_Hant_TW", "zh"), ("ZH", "zh"), ("zho_Hans", "zh"), ("cmn", "zh"), ("yue",
        "zh"),
        ("zh-Latn", "13a"), ("jpn_Jpan", "ja-mecab"), ("kor_Hang", "ko-mecab"), ("th", "char"), ("khm_Khmr", "char"),
        ("lao", "char"), ("mya_Mymr", "char"), ("bod_Tibt", "char"), ("deu_Latn", "13a"), ("und", "13a"),
    ],
)  # fmt: skip
def test_bleus_tokenizer_depends_on_the_target_language(language: str, tokenizer: str) -> None:
    assert bleu_tokenizer(language) == tokenizer


def test_japanese_without_its_dictionary_is_compared_by_characters_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("seqline.metrics.language.find_spec", lambda module: None)
    assert bleu_tokenizer("jpn_Jpan") == "char"
    assert "install sacrebleu[ja]" in caplog.text


@pytest.mark.parametrize("code", ["zho_Hans", "jpn_Jpan", "tha", "khm_Khmr", "mya", "lao_Laoo"])
def test_without_spaces_a_sentence_with_one_wrong_character_is_nearly_right(code: str) -> None:
    reference = {
        "zho_Hans": "年老的面包师在河边唱歌", "jpn_Jpan": "年老いたパン屋が川のそばで歌う",
        "tha": "คนทำขนมปังร้องเพลงริมแม่น้ำ",
        "khm_Khmr": "អ្នកដុតនំច្រៀងនៅក្បែរទន្លេ", "mya": "မုန့်ဖုတ်သမားသည်မြစ်အနီးတွင်သီချင်းဆို", "lao_Laoo": "ຄົນເຮັດເຂົ້າຈີ່ຮ້ອງເພງຢູ່ແຄມນ້ຳ",
    }[code]  # fmt: skip
    values = measure("translation", [reference], [reference[:-1] + "x"], code)
    assert min(values["bleu"], values["rougeL"], 100 - values["ter"], values["chrf"], values["token_f1"]) > 50


@pytest.mark.parametrize(
    ("language", "tokenizer"), [("eng_Latn", "rouge-score"), ("EN-us", "rouge-score"), ("deu_Latn", "unicode")]
)
def test_rouges_tokenizer_is_english_for_every_code_of_english(language: str, tokenizer: str) -> None:
    assert f"tok:{tokenizer}" in METRICS["rouge1"].counts(language).signature  # type: ignore[attr-defined]


def test_counts_by_hand() -> None:
    values = measure("translation", REFERENCES, OUTPUTS, "de")
    assert values["exact_match"] == 50  # articles are not compared
    assert values["empty_outputs"] == 25
    assert values["length_ratio"] == sum(map(len, OUTPUTS)) / sum(map(len, REFERENCES))


@pytest.mark.parametrize(
    ("reference", "output", "exact", "f1"),
    [
        ("The Eiffel Tower!", "eiffel tower", 100, 100),
        ("in 1889", "1889", 0, 200 / 3),
        ("yes", "no", 0, 0),
        ("The", "the", 100, 0),  # as in the official script
        ("x y", "", 0, 0),
    ],
)
def test_answers_are_compared_as_in_squad(reference: str, output: str, exact: float, f1: float) -> None:
    values = measure("question_answering", [reference], [output], "en")
    assert values["exact_match"] == exact
    assert values["token_f1"] == pytest.approx(f1)


@pytest.mark.parametrize(
    ("language", "reference", "output", "f1"),
    [
        ("zh", "在花园里睡觉", "在花园里唱觉", 500 / 6),
        ("zho_Hans", "“在花园里”。", "在花园里", 100),
        ("ja", "パン屋", "パン店", 200 / 3),
        ("th", "กินข้าว", "กินข้าว", 100),
        ("th", "ข้าว", "ข้าม", 200 / 3),
        ("zh", "2024年", "2023年", 50),
        ("de", "„Das Haus“", "haus", 100),
        ("de", "an der Tür", "an tür", 100),
        ("es", "¿La casa?", "casa", 100),
        ("hi", "कुत्ता।", "कुत्ता", 100),
        ("ar", "الكتاب", "كتاب", 100),
    ],
)  # fmt: skip
def test_answers_in_other_languages_are_compared_as_in_mlqa(
    language: str, reference: str, output: str, f1: float
) -> None:
    assert measure("question_answering", [reference], [output], language)["token_f1"] == pytest.approx(f1)


def test_anomalies_are_counted() -> None:
    outputs = ["hello", "Berlin", "a \N{DOUBLE QUESTION MARK}", " "]
    values = measure("translation", ["hallo", "Berlin", "z", "w"], outputs, "de", ["hello", "Berlin", "x", "y"])
    assert values["copied_outputs"] == 25  # Berlin is Berlin
    assert values["unknown_outputs"] == 25
    assert values["empty_outputs"] == 25


def test_perplexity_is_per_token() -> None:
    counter = METRICS["perplexity"].counts("de")
    numbers = counter.count(Batch(["a", "b"], ["a", "b"], ["", ""], np.array([[-2.0, 4], [-6.0, 4]])))
    assert counter.score(numbers.sum(axis=0, keepdims=True))[0] == pytest.approx(math.e)


@given(TEXTS)
def test_a_perfect_answer_is_perfect(texts: list[str]) -> None:
    references = [text + " x" for text in texts]
    values = measure("translation", references, references, "de")
    assert values["exact_match"] == 100
    assert values["chrf"] == pytest.approx(100)
    assert values["rouge1"] == pytest.approx(100)
    assert values["ter"] == 0
    assert values["length_ratio"] == 1


@given(TEXTS, st.randoms())
def test_no_metric_depends_on_the_order_of_sentences(texts: list[str], random: object) -> None:
    outputs = list(texts)
    random.shuffle(outputs)  # type: ignore[attr-defined]
    values = measure("translation", texts, outputs, "de")
    for name in values.keys() - {"length_ratio", "ter"}:
        assert 0 <= values[name] <= 100 + 1e-6
    assert measure("translation", texts[::-1], outputs[::-1], "de") == pytest.approx(values)


def test_each_task_has_its_metrics() -> None:
    answers = {metric.name for metric in counted("question_answering")}
    assert "bleu" not in answers
    assert {"exact_match", "token_f1", "rouge1", "empty_outputs"} <= answers
    for task in TASKS:
        assert {HEADLINES[task], RANKINGS[task]} <= {metric.name for metric in counted(task)}


def test_an_unknown_metric_is_refused_with_the_nearest_name() -> None:
    assert find_metric("empty_outputs").higher_is_better is False
    with pytest.raises(UserError, match="there is no metric 'beu'; did you mean 'bleu'"):
        find_metric("beu")


def test_the_registry_does_not_import_the_libraries() -> None:
    code = (
        "import sys, seqline.metrics.metrics; "
        "print({'sacrebleu', 'rouge_score', 'tensorflow', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_names_are_the_registrys_keys() -> None:
    assert all(name == metric.name for name, metric in METRICS.items())
