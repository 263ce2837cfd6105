"""The built-in sample corpus."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from babel import localedata

from seqline.errors import UserError
from seqline.samples import cldr
from seqline.samples.dates import find_locale, sample_pairs, write_sample


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_sample(tmp_path / "a.tsv", pairs=200, seed=5).read_bytes()
    assert write_sample(tmp_path / "b.tsv", pairs=200, seed=5).read_bytes() == first
    assert write_sample(tmp_path / "c.tsv", pairs=200, seed=6).read_bytes() != first


def test_a_larger_sample_begins_with_the_smaller_one() -> None:
    assert sample_pairs(pairs=300)[:100] == sample_pairs(pairs=100)


def test_jsonl_holds_the_same_pairs_as_tsv(tmp_path: Path) -> None:
    tsv = write_sample(tmp_path / "a.tsv", pairs=50).read_text("utf-8").splitlines()
    jsonl = write_sample(tmp_path / "a.jsonl", pairs=50).read_text("utf-8").splitlines()
    records = [json.loads(line) for line in jsonl]
    assert [f"{record['source']}\t{record['target']}" for record in records] == tsv


def test_known_translations_are_right() -> None:
    pairs = dict(sample_pairs(pairs=4000))
    days = {source: target for source, target in pairs.items() if re.match(r"March \d+, \d{4}$", source)}
    assert days
    for source, target in days.items():
        assert target == re.sub(r"March (\d+), (\d+)", r"\1. März \2", source)
    prices = {source: target for source, target in pairs.items() if source.endswith(" Swiss francs")}
    assert prices
    for source, target in prices.items():
        assert target == source.replace(",", ".").replace("Swiss francs", "Schweizer Franken")


def test_sources_are_distinct_phrases_on_one_line() -> None:
    pairs = sample_pairs(pairs=3000)
    assert len({source for source, _ in pairs}) == 3000
    for text in (text for pair in pairs for text in pair):
        assert text == " ".join(text.split())
        assert 1 <= len(text.split()) <= 25


def test_no_source_has_two_translations() -> None:
    targets: dict[str, set[str]] = {}
    for seed in range(4):
        for source, target in sample_pairs(pairs=5000, seed=seed):
            targets.setdefault(source, set()).add(target)
    assert [source for source, found in targets.items() if len(found) > 1] == []


def test_names_recur_often_enough_to_be_learned() -> None:
    words = Counter(word for source, _ in sample_pairs() for word in re.findall(r"[^\W\d]+", source))
    assert sum(count for count in words.values() if count < 5) / words.total() < 0.001


@pytest.mark.parametrize(("source", "target"), [("de", "en"), ("ja", "pt-BR"), ("ar", "he"), ("pl", "zh_Hant")])
def test_any_two_locales_work(source: str, target: str) -> None:
    assert len(sample_pairs(source, target, pairs=200)) == 200


def test_identifiers_never_stand_for_missing_words() -> None:
    for locale in ("zh_Hant", "ar", "de"):
        text = "\n".join(target for _, target in sample_pairs("en", locale, pairs=2000))
        assert not re.search("|".join(cldr._UNITS.split()), text)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("englsh", "'en'"), ("German", "'de'"), ("de_DEE", "'de-DE'"), ("pt_BRR", "'pt-BR'")],
)
def test_an_unknown_locale_names_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(UserError, match=f"{wrong}.* is not a CLDR locale; the nearest is {nearest}"):
        sample_pairs(wrong)


def test_locales_may_be_written_with_a_hyphen() -> None:
    assert find_locale("pt-BR") == find_locale("pt_BR")
    assert "pt_BR" in localedata.locale_identifiers()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": Path("a.txt")}, ".tsv or .jsonl"),
        ({"target_locale": "en"}, "two different locales"),
        ({"pairs": 0}, "pairs must be at least 1, not 0"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(
    arguments: dict, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        write_sample(**{"output": Path("a.tsv"), **arguments})
    assert list(tmp_path.iterdir()) == []
