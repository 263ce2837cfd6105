"""Copies of training pairs: how they are made, and that none has a held-out source."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.corpus import Corpus
from seqline.components.tokenize.augmentation import Augmenter, Copy, with_typing_errors
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.stage import tokenize
from seqline.components.tokenize.vocabulary import load
from seqline.errors import UserError
from seqline.normalization import clean
from tests.components.tokenize.ids import read_ids


def copies(source: str, target: str, **options: object) -> list[Copy]:
    table = pa.table({"source": [source], "target": [target], "row_hash": np.array([7], np.uint64)})
    return list(Augmenter(Options(**options)).copies(table))


@pytest.mark.parametrize(
    ("source", "target", "terms", "copy"),
    [
        ("He sings. HE", "Er singt. ER", ["he", "she", "er", "sie"], ("She sings. SHE", "Sie singt. SIE")),
        ("she and he", "sie und er", ["he", "she", "er", "sie"], ("he and she", "er und sie")),
        ("the theme", "das Thema", ["he", "she", "er", "sie"], None),
        ("they said he sings", "es heißt, Anna singt", ["he", "she", "er", "sie"], None),
        ("Anna sings", "Anna singt", ["Anna", "Tom"], ("Tom sings", "Tom singt")),
        ("a (he) b.he", "x", ["he", "she"], ("a (she) b.she", "x")),
        ("He waits.", "他在花园里等待。", ["he", "she", "他", "她"], ("She waits.", "她在花园里等待。")),
        ("They and he", "他们和他", ["he", "she", "他", "她"], None),
        ("He waits.", "วันนี้เขารอ", ["he", "she", "เขา", "เธอ"], ("She waits.", "วันนี้เธอรอ")),
        ("彼は待つ", "he waits", ["彼", "彼女", "he", "she"], ("彼女は待つ", "she waits")),
        ("Zoë ſings", "x", ["Zoe\u0308", "Tom"], ("Tom ſings", "x")),
        ("ſo it is", "x", ["so", "as"], None),
    ],
)  # fmt: skip
def test_terms_are_swapped(source: str, target: str, terms: list, copy: tuple | None) -> None:
    found = copies(source, target, counterfactual=[terms])
    assert [(one.source, one.target) for one in found] == ([copy] if copy else [])
    assert all(one.method == "counterfactual" for one in found)


def test_without_options_there_are_no_copies() -> None:
    assert copies("he", "er") == []
    assert not Augmenter(Options()).active


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(clean), st.integers(0, 2**64 - 1))
def test_typing_errors_keep_the_text_clean_and_depend_on_the_seed_alone(text: str, seed: int) -> None:
    wrong = with_typing_errors(text, seed)
    assert wrong == clean(wrong) == with_typing_errors(text, seed)


def slips(word: str) -> set[str]:
    """The word with one letter dropped, doubled or swapped with the next; the last one has none, and stays."""
    places = range(len(word))
    dropped = {word[:at] + word[at + 1 :] for at in places}
    doubled = {word[:at] + word[at] + word[at:] for at in places}
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in places[:-1]}
    return {word} | dropped | doubled | swapped


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=1, max_size=35), st.integers(0, 2**64 - 1))
def test_every_tenth_word_gets_one_typing_error(words: list[str], seed: int) -> None:
    others = with_typing_errors(" ".join(words), seed).split(" ")
    changed = [(one, other) for one, other in zip(words, others, strict=True) if one != other]
    assert len(changed) <= -(-len(words) // 10)
    assert all(other in slips(one) and len(one) > 1 for one, other in changed)


def test_typing_errors_of_every_kind_are_made() -> None:
    text = " ".join(["abcdef"] * 30)
    found = [word for seed in range(100) for word in with_typing_errors(text, seed).split() if word != "abcdef"]
    assert 250 < len(found) <= 300
    assert {len(word) for word in found} == {5, 6, 7}
    assert set(found) == slips("abcdef") - {"abcdef"}


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([["he"]], "not a pair of terms"), ([["he", " "]], "not a pair of terms"),
        (["he"], r"counterfactual\[0\] must be a list, not 'he'"),
        ([["he", "she"], ["she", "her"]], "'she' is in two pairs"),
    ],
)  # fmt: skip
def test_wrong_pairs_of_terms_are_reported(terms: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Options(counterfactual=terms)


def test_copies_are_counted_and_have_no_held_out_source(tmp_path: Path) -> None:
    # Every row's counterpart is there too: half of the counterparts of training rows are held out.
    lines = [f"{who} has {number} cats\t{wer} hat {number} Katzen" for number in range(40)
             for who, wer in (("he", "er"), ("she", "sie"))]  # fmt: skip
    (tmp_path / "data.tsv").write_text("\n".join(lines))
    options = Options(
        valid_share=0.3, test_share=0.3, vocabulary_size=320, shards=2, counterfactual=[["he", "she", "er", "sie"]],
        noise_share=0.5,
    )  # fmt: skip
    manifest = tokenize(str(tmp_path / "data.tsv"), tmp_path / "corpus", tmp_path / "report.html", options=options)
    corpus = Corpus(tmp_path / "corpus")
    processor = load(corpus.tokenizer.read_bytes())
    sources = [processor.decode(source) for source, _ in read_ids(corpus, "train")]
    counts = manifest.counts
    assert len(sources) == counts.train + sum(counts.augmented.values())
    assert min(counts.augmented["counterfactual"], counts.augmented["noise"]) > 3
    held_out = {pair["source"] for split in ("valid", "test") for pair in corpus.read_text(split)}
    assert not held_out & set(sources)
    # Otherwise a training row whose counterpart is held out would reveal its source.
    assert counts.augmented["counterfactual"] < counts.train


def test_terms_that_match_no_pair_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [f"{number} cats sit\t{number} Katzen sitzen" for number in range(40)]
    (tmp_path / "data.tsv").write_text("\n".join(lines))
    options = Options(valid_share=0.1, test_share=0.1, vocabulary_size=320, counterfactual=[["he", "she"]])
    tokenize(str(tmp_path / "data.tsv"), tmp_path / "corpus", tmp_path / "report.html", options=options)
    assert "counterfactual: no training pair was copied" in caplog.text
