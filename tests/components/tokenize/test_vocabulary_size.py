"""The size of the vocabulary if it is auto."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.tokenize import vocabulary_size
from seqline.components.tokenize.options import LARGEST_VOCABULARY, Options
from seqline.components.tokenize.vocabulary import load, train_tokenizer
from seqline.components.tokenize.vocabulary_size import FREQUENT, SIZES, frequent_share, largest, train_chosen
from seqline.errors import UserError

AUTO = Options(vocabulary_size="auto")


SMALL = (300, 350, 400, 500)


def pairs(count: int) -> list[tuple[str, str]]:
    """Sentences of 300 words whose frequencies follow Zipf's law, made of 60 syllables."""
    chosen = random.Random(4)
    syllables = ["".join(chosen.choices("abcdefghijkl", k=3)) for _ in range(60)]
    words = ["".join(chosen.choices(syllables, k=chosen.randint(1, 3))) for _ in range(300)]
    weights = [1 / rank for rank in range(1, 301)]
    sentences = (" ".join(chosen.choices(words, weights, k=8)) for _ in range(2 * count))
    return list(zip(sentences, sentences, strict=True))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes for small corpora."""
    monkeypatch.setattr(vocabulary_size, "SIZES", SMALL)


def share(model: bytes, texts: list[str]) -> float:
    return frequent_share(model, Counter(token for ids in load(model).encode(texts) for token in ids))


@given(st.integers(0, 40_000))
def test_the_largest_size_that_fits_is_found(limit: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= limit

    assert largest(fits) == max((size for size in SIZES if size <= limit), default=SIZES[0])
    assert len(tried) <= 4


def test_sizes_go_from_1000_to_32000() -> None:
    assert (SIZES[0], SIZES[-1]) == (1000, LARGEST_VOCABULARY) == (1000, 32_000)
    assert list(SIZES) == sorted(SIZES)


def test_special_tokens_and_bytes_need_not_be_frequent() -> None:
    model = train_tokenizer((text for pair in pairs(200) for text in pair), Options(vocabulary_size=400))
    processor = load(model)
    own = [token for token in range(400) if not (processor.is_byte(token) or token < 4)]
    assert frequent_share(model, dict.fromkeys(own, 5)) == 1
    assert frequent_share(model, dict.fromkeys(own, 4)) == 0
    assert frequent_share(model, dict.fromkeys(own, 1), scale=5) == 1
    assert frequent_share(model, dict.fromkeys(own[: len(own) // 2], 100)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("all_tokens", "needed"), [(100_000, 5), (800_000, 10), (1_000_000_000, 100)])
def test_a_token_of_a_larger_corpus_is_frequent_from_more_occurrences_on(all_tokens: int, needed: int) -> None:
    model = train_tokenizer((text for pair in pairs(200) for text in pair), Options(vocabulary_size=400))
    processor = load(model)
    common, *others = [token for token in range(400) if not (processor.is_byte(token) or token < 4)]
    enough = dict.fromkeys(others, needed) | {common: all_tokens - needed * len(others)}
    assert frequent_share(model, enough) == 1
    fewer = dict.fromkeys(others, needed - 1) | {common: all_tokens - (needed - 1) * len(others)}
    assert frequent_share(model, fewer) < 0.05


@pytest.mark.parametrize("count", [8, 200, 2000])
def test_the_size_is_the_largest_of_which_95_percent_of_the_tokens_are_frequent(small: None, count: int) -> None:
    known = pairs(count)
    texts = [text for pair in known for text in pair]
    size = load(train_chosen(lambda: known, count, AUTO)).vocab_size()
    fitting = [one for one in SMALL if share(train_tokenizer(texts, Options(vocabulary_size=one)), texts) >= FREQUENT]
    assert size == max(fitting, default=SMALL[0])
    assert bool(fitting) == (count > 8)


def test_a_sample_counts_for_all_pairs(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary_size, "SAMPLE_PAIRS", 100)
    known = pairs(2000)
    alone, of_many = (load(train_chosen(lambda: known, total, AUTO)).vocab_size() for total in (100, 500_000))
    assert alone < of_many


def test_a_vocabulary_holds_the_characters_of_the_texts() -> None:
    chosen = random.Random(4)
    characters = [chr(0x4E00 + number) for number in range(1500)]
    known = [("".join(chosen.choices(characters, k=9)), "".join(chosen.choices(characters, k=9))) for _ in range(2000)]
    model = train_chosen(lambda: known, len(known), Options(vocabulary_size="auto", character_coverage=1.0))
    assert load(model).vocab_size() >= 1500 + 4 + 256


def test_more_characters_than_the_largest_vocabulary_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary_size, "SIZES", (300, 400))
    texts = ["".join(map(chr, range(0x4E00, 0x4E00 + 500)))] * 10
    with pytest.raises(UserError, match="vocabulary_size=400 is too small"):
        train_chosen(
            lambda: zip(texts, texts, strict=True), 10, Options(vocabulary_size="auto", character_coverage=1.0)
        )
