"""Cleaning rules: each rejects its faulty pairs, and no ordinary ones."""

import numpy as np
import pyarrow as pa
import pytest

from seqline.components.tokenize.encoded import Ragged
from seqline.components.tokenize.filters import Pairs
from seqline.components.tokenize.repetition import repeated
from seqline.components.tokenize.rules import RULES, check, thresholds


def rejected_by(source: str, target: str, languages: tuple[str, str] = ("en", "de"), **rules: object) -> list[str]:
    pairs = Pairs(pa.array([source]), pa.array([target]), languages)
    return [name for name, _ in check(pairs, thresholds("translation", rules))]


@pytest.mark.parametrize(
    ("source", "target", "rule"),
    [
        ("It\ufffds here", "Es ist hier", "broken_encoding"),
        ("Greetings", "Viele GrÃ¼Ãe", "broken_encoding"),
        ("a <b>bold</b> word", "ein fettes Wort", "markup"),
        ("salt &amp; pepper", "Salz & Pfeffer", "markup"),
        ("https://example.org/a b@example.org", "siehe dort", "url"),
        ("look", "a" * 101, "long_word"),
        ("----", "Strich", "symbols"),
        ("word", "*=*=*=*=*=*=*=*=*=* Wort", "symbols"),
        ("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "Zahlen", "digits"),
        ("copied from the source", "Copied from the source", "identical"),
        ("a good day", "хороший день", "wrong_script"),
    ],
)
def test_a_rule_rejects_a_faulty_pair_while_it_is_on(source: str, target: str, rule: str) -> None:
    assert rejected_by(source, target) == [rule]
    assert rejected_by(source, target, **{rule: False}) == []


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Aug 13, 2000, 11:50 AM", "13.08.2000, 11:50"),
        ("54%", "54 %"),
        ("a < b and c > d", "a < b und c > d"),
        ("Palau", "Palau"),
        ("R&D, see www.example.org", "F&E, siehe www.example.org"),
        ("the letter ж", "der Buchstabe ж"),
        ("don't", "tu’s nicht …"),
    ],
)
def test_ordinary_pairs_pass(source: str, target: str) -> None:
    assert rejected_by(source, target) == []


@pytest.mark.parametrize(
    "text",
    [
        "if a <b and c> d", "x <y or z>", "Sort by n <m first, then k> l", "Is p <q ? No, q> p.", "a<b>c in text",
        "a <b> c", "x <p or q> y", "if a <b c=d> e", "List<int>", "Map<String, List<Object>>",
        "Set<object> and Array<time>",
        "std::vector<bool>", "template<class T> f", "function<void(int)> f", "Foo<Bar, Baz>[]", "cp <file> <name>",
        "if i<b && c>d then", "I <3 you > me", "<- back ->", "John <john@example.org>", "int *p = &value; q",
        "Q&A; R&D",
    ],
)  # fmt: skip
def test_comparisons_and_generic_types_are_no_markup(text: str) -> None:
    assert "markup" not in rejected_by(text, "ein Text")
    assert "markup" not in rejected_by("a text", text)


@pytest.mark.parametrize(
    "text",
    [
        "The <b>old</b> dog", "one<br>two", "<BR/>", "<br />", "<p>Hello", "Hello.<p>", '<a href="x y">z',
        "<a href=x>y",
        "<img src='a.png' alt=\"b c\">", "<div class=x id=y>", "<!-- c -->", "<li>one", "<H1>Title", "</p>",
        "<p >x</p >",
        "<input disabled>", "<input type=checkbox checked>", "<seg>x</seg>", '<g id="1">x', "<ph id='1'/>",
        "<o:p>x</o:p>",
        "<!DOCTYPE html>", "<?xml version='1.0'?>", "see <code>x", "salt &amp; pepper", "a&nbsp;b", "&#39;",
        "&#x1F600;",
        "don &apos;t",
    ],
)  # fmt: skip
def test_tags_and_entities_are_markup(text: str) -> None:
    assert rejected_by(text, "ein Text") == ["markup"]


@pytest.mark.parametrize(
    ("target", "language", "wrong"),
    [
        ("хороший день", "ru", False), ("good day", "ru", True), ("日本語の文です", "ja", False),
        ("good", "zh-Hant", True), ("कि यह", "hi", False), ("anything", "und", False), ("123", "ru", False),
        ("good", "zho_Hans", True), ("chéri", "jpn_Jpan", True), ("добрый день", "srp_Latn", True),
        ("добрый день", "sr", False), ("bon dia", "arb_Arab", True), ("goede dag", "nob", False),
    ],
)  # fmt: skip
def test_a_side_must_be_in_the_script_of_its_language(target: str, language: str, wrong: bool) -> None:
    assert rejected_by("a day", target, ("en", language)) == ["wrong_script"] * wrong


def test_rules_that_are_off_can_be_switched_on_and_set() -> None:
    assert rejected_by("in 1999", "im Jahr 1998", numbers_differ=True) == ["numbers_differ"]
    assert rejected_by("1,999 cats", "1.999 Katzen", numbers_differ=True) == []
    assert rejected_by("ab", "abc", too_few_characters=3) == ["too_few_characters"]


def test_a_row_is_counted_by_the_first_rule_only() -> None:
    assert rejected_by("<b>\ufffd</b>", "<b>\ufffd</b>") == ["broken_encoding"]


def test_a_task_decides_which_rules_apply() -> None:
    assert "identical" in thresholds("translation", {})
    assert "identical" not in thresholds("question_answering", {})
    assert set(thresholds("translation", dict.fromkeys(RULES, True))) == set(RULES)


@pytest.mark.parametrize(
    ("text", "often"),
    [
        ("ha ha ha ha ha ha", True), ("ha ha ha ha ha", False), ("so we go on " * 6, True),
        ("0 0 0 0 0 0 0 0", False), ("the cat and the dog and the bird and the fish", False),
    ],
)  # fmt: skip
def test_repeated_words_are_found(text: str, often: bool) -> None:
    tokens = np.array([hash(word) % 1000 for word in text.split()], np.int32)
    assert repeated(Ragged.of([tokens, tokens[:0]]), pa.array([text, ""]), 5).tolist() == [often, False]
