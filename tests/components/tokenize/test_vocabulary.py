"""The SentencePiece model: special tokens, size, reproducibility."""

import random
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.tokenize.options import Options
from seqline.components.tokenize.vocabulary import BEGIN, END, PAD, UNKNOWN, listing, load, short_parts, train_tokenizer
from seqline.errors import UserError


def words(count: int) -> list[str]:
    chosen = random.Random(4)
    return [" ".join("".join(chosen.choices("abcdefgh", k=4)) for _ in range(5)) for _ in range(count)]


def test_special_tokens_have_fixed_ids() -> None:
    processor = load(train_tokenizer(words(200), Options(vocabulary_size=400)))
    assert (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id()) == (0, 1, 2, 3)
    assert (PAD, UNKNOWN, BEGIN, END) == (0, 1, 2, 3)


def test_the_same_texts_give_the_same_bytes() -> None:
    options = Options(vocabulary_size=400)
    assert train_tokenizer(words(300), options) == train_tokenizer(words(300), options)


def test_the_vocabulary_has_the_requested_size_if_the_data_fill_it() -> None:
    assert load(train_tokenizer(words(500), Options(vocabulary_size=400))).vocab_size() == 400


def test_few_data_get_fewer_tokens() -> None:
    assert load(train_tokenizer(["one two three"] * 5, Options(vocabulary_size=8000))).vocab_size() < 400


def test_digits_stay_apart_and_unseen_characters_are_spelt_in_bytes() -> None:
    processor = load(train_tokenizer(["Nov 2019", "Nov 2020", "Nov 2021"] * 50, Options(vocabulary_size=400)))
    assert processor.encode("2020", out_type=str)[-4:] == ["2", "0", "2", "0"]
    assert UNKNOWN not in processor.encode("漢字")
    assert processor.decode(processor.encode("漢字")) == "漢字"


def test_digits_may_share_a_token() -> None:
    options = Options(vocabulary_size=400, split_digits=False)
    processor = load(train_tokenizer(["Nov 2019", "Nov 2020", "Nov 2021"] * 50, options))
    assert len(processor.encode("2020")) < len("2020")


def test_texts_that_sentencepiece_would_leave_out_train_the_tokenizer_in_parts() -> None:
    chosen = random.Random(4)
    characters = [chr(0x4E00 + number) for number in range(100)]
    # About 18,000 bytes without a space; the limit of SentencePiece is 16,384.
    documents = ["".join(chosen.choices(characters, k=6000)) for _ in range(12)]
    processor = load(train_tokenizer(documents, Options(vocabulary_size=500, character_coverage=1.0)))
    assert len(processor.encode("".join(characters))) <= len(characters) + 1
    assert processor.decode(processor.encode(documents[0])) == documents[0]


@given(st.lists(st.sampled_from(["a", "漢" * 3000, "b" * 5000, "c" * 17_000, "d"]), min_size=1, max_size=5))
def test_the_parts_of_a_text_are_short_and_hold_all_of_it(words: list[str]) -> None:
    text = " ".join(words)
    parts = list(short_parts([text]))
    assert all(len(part.encode()) <= 16384 for part in parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")


def test_too_small_a_vocabulary_is_refused_with_the_smallest_size() -> None:
    texts = ["".join(map(chr, range(0x4E00, 0x4E00 + 200)))] * 10
    with pytest.raises(UserError, match=r"vocabulary_size=300 is too small: .* need 4\d\d; raise it"):
        train_tokenizer(texts, Options(vocabulary_size=300, character_coverage=1.0))


def test_the_listing_has_every_token_in_order() -> None:
    model = train_tokenizer(words(200), Options(vocabulary_size=400))
    lines = listing(model).splitlines()
    assert len(lines) == 400
    assert [line.partition("\t")[0] for line in lines[:5]] == ["<pad>", "<unk>", "<s>", "</s>", "<0x00>"]


def test_a_token_with_a_line_break_is_one_line_of_the_listing(tmp_path: Path) -> None:
    symbols = ["\n", "\t", '"']
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words(200)), model_prefix=str(tmp_path / "m"), vocab_size=100,
        user_defined_symbols=symbols, minloglevel=2,
    )  # fmt: skip
    lines = listing((tmp_path / "m.model").read_bytes()).split("\n")[:-1]
    assert len(lines) == 100
    assert [line.partition("\t")[0] for line in lines[3:6]] == ["\\n", "\\t", '"']


def test_no_path_of_this_machine_is_left_in_the_model() -> None:
    assert b"rules.tsv" not in train_tokenizer(words(100), Options(vocabulary_size=400))
