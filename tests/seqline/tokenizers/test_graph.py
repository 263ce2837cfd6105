"""The tokenizer in the graph and the one on the host give the same ids and texts."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies
from tokenizers import AddedToken

from seqline.artifacts.text_tokenizer import TextTokenizer
from seqline.components.export.verify import foreign_ops
from seqline.tokenizers.checkpoint_files import read_files
from seqline.tokenizers.graph import GraphTokenizer
from seqline.tokenizers.host import HostTokenizer
from tests.nightly import NIGHTLY
from tests.seqline.tokenizers import small

END = small.settings(eos_token="<|endoftext|>")
ADDED = (
    AddedToken("<tool>", lstrip=True, rstrip=True),
    AddedToken("two words", normalized=False),
    AddedToken("cat", single_word=True, normalized=False),
    AddedToken("café", normalized=True),
)
KINDS: dict[str, Callable[[], dict[str, bytes]]] = {
    "GPT-2": lambda: {"tokenizer.json": small.byte_level("gpt2"), "tokenizer_config.json": END},
    "GPT-2 with a space in front": lambda: {
        "tokenizer.json": small.byte_level("gpt2", prefix=True),
        "tokenizer_config.json": END,
    },
    "Llama 3": lambda: {"tokenizer.json": small.byte_level("llama3"), "tokenizer_config.json": END},
    "Qwen2": lambda: {"tokenizer.json": small.byte_level("qwen2", nfc=True), "tokenizer_config.json": END},
    "SmolLM2": small.chat_files,
    "added tokens": lambda: {
        "tokenizer.json": small.byte_level("qwen2", nfc=True, added=ADDED),
        "tokenizer_config.json": END,
    },
    "Llama 2": small.llama_files,
    "Metaspace": lambda: {**small.llama_files(), "tokenizer.json": small.byte_fallback("always")},
    "Metaspace of the first part": lambda: {**small.llama_files(), "tokenizer.json": small.byte_fallback("first")},
    "Llama 2, SentencePiece": small.llama_model_files,
    "T5": small.t5_files,
    "Marian": small.marian_files,
}
FAMILIES = pytest.mark.parametrize("kind", KINDS)


class Pair:
    """A tokenizer on the host and in the graph."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer, self.host, self.graph = tokenizer, HostTokenizer(tokenizer), GraphTokenizer(tokenizer)

    def sources(self, texts: Any) -> Any:
        return self.graph.encode_sources(texts, 10**6)[0]

    def targets(self, texts: Any) -> Any:
        return self.graph.encode_targets(texts, 10**6)[0]

    def check(self, texts: list[str]) -> None:
        given = tf.constant([text.encode() for text in texts], tf.string)
        assert self.sources(given).to_list() == self.host.encode_sources(texts)
        rows = self.host.encode_targets(texts)
        assert self.targets(given).to_list() == rows
        for cut in (rows, [row[1 : len(row) // 2 + 1] for row in rows]):
            assert self.decoded(cut) == self.host.decode(cut)

    def decoded(self, rows: list[list[int]], **options: Any) -> list[str]:
        ragged = tf.ragged.constant(rows, dtype=tf.int32, ragged_rank=1).to_tensor(self.tokenizer.pad)
        return [text.decode() for text in self.graph.decode(ragged, **options).numpy()]


@functools.cache
def pair(kind: str) -> Pair:
    return Pair(read_files(KINDS[kind](), "checkpoint").tokenizer)


@FAMILIES
def test_graph_and_host_agree_on_texts_of_all_scripts(kind: str) -> None:
    pair(kind).check(small.hard_texts(10_000 if NIGHTLY else 200))


@pytest.mark.parametrize("kind", ["Llama 3", "SmolLM2", "added tokens", "Llama 2"])
@given(texts=strategies.lists(strategies.text() | strategies.text("'!?.sStTrevmldLE \n\r\t12²aé"), max_size=8))
@settings(deadline=None, max_examples=100 if NIGHTLY else 6, derandomize=True)
def test_graph_and_host_agree_on_any_text(kind: str, texts: list[str]) -> None:
    pair(kind).check(texts)


@FAMILIES
def test_invalid_bytes_are_read_as_the_replacement_characters_of_python(kind: str) -> None:
    given = [b"a\xffb", b"\xe2\x82", b"x\xf0\x9f\x98 y", b"\xed\xa0\x80", b"\xc0\xafz"]
    expected = pair(kind).host.encode_sources([text.decode("utf-8", "replace") for text in given])
    assert pair(kind).sources(tf.constant(given)).to_list() == expected


@pytest.mark.parametrize("kind", ["GPT-2", "SmolLM2", "Llama 2", "Llama 2, SentencePiece"])
def test_special_tokens_in_a_text_are_text(kind: str) -> None:
    found = pair(kind)
    texts = ["a <|im_start|> b <|endoftext|> c", "<s> x </s>", "<unk><|im_end|>"]
    for row, text in zip(found.host.encode_targets(texts), texts, strict=True):
        assert not set(row) & set(found.tokenizer.special)
        assert found.decoded([row]) == [text]


def test_special_tokens_of_t5_and_marian_in_a_text_are_text() -> None:
    for kind in ("T5", "Marian"):
        rows = pair(kind).host.encode_sources([">>de<< a </s> b <pad> <extra_id_0>"])
        special = set(pair(kind).tokenizer.special) - {pair(kind).tokenizer.unknown}
        symbols = read_files(KINDS[kind](), "").symbols
        assert not set(rows[0]) & (special | {symbols.get(">>de<<", -1)})


def test_added_tokens_and_their_spaces_survive_a_round_trip() -> None:
    found = pair("added tokens")
    # The library itself decodes the added token "café" as "caf" and half a character.
    texts = ["use <tool> now", "two words here", "a cat, concat", "cafe\u0301 and café", " <tool>  <tool>x"]
    rows = found.host.encode_targets(texts)
    assert any(id_ > 499 for id_ in rows[0])
    assert found.decoded(rows) == found.host.decode(rows)
    assert found.decoded(rows)[1:4] == ["two words here", "a cat, concat", "café and café"]


@pytest.mark.parametrize("kind", ["SmolLM2", "Llama 2", "Llama 2, SentencePiece"])
def test_the_bytes_of_an_unfinished_character_are_held_back(kind: str) -> None:
    found = pair(kind)
    (row,) = found.host.encode_targets(["ok 😀 你"])
    for end in range(1, len(row)):
        (partial,) = found.decoded([row[:end]], complete=False)
        assert "ok 😀 你".startswith(partial)
    assert found.decoded([row], complete=True) == ["ok 😀 你"]


def test_a_padding_id_beyond_the_tokenizer_has_no_text() -> None:
    for kind in ("T5", "SmolLM2", "Marian"):
        found = pair(kind)
        (row,) = found.host.encode_targets(["house"])
        beyond = found.tokenizer.vocabulary_size + 5
        assert found.decoded([[*row, beyond]]) == found.host.decode([row])


def test_characters_are_classed_by_the_unicode_of_the_library() -> None:
    # Unicode of the library, of RE2 and of Python differ: U+16FF4 is a number of the one, and not of the other.
    found = pair("SmolLM2")
    ranges = [range_ for ranges in found.tokenizer.characters.values() for range_ in ranges]
    edges = sorted({code + step for range_ in ranges for code in range_ for step in (-1, 0, 1)})
    texts = ["".join(f"a{chr(code)}1{chr(code)} " for code in edges if code > 0 and not 0xD800 <= code < 0xE000)]
    for one in (found, pair("Llama 3")):
        assert one.sources(tf.constant([text.encode() for text in texts])).to_list() == one.host.encode_sources(texts)


def test_a_saved_graph_needs_only_tensorflow_and_tensorflow_text(tmp_path: Path) -> None:
    module = tf.Module()
    module.pairs = [pair("added tokens").graph, pair("T5").graph]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def serve(text: Any) -> dict[str, Any]:
        found = {}
        for number, tokenizer in enumerate(module.pairs):
            tokens, cut = tokenizer.encode_sources(text, 12)
            ids = tokens.to_tensor(0)
            found |= {f"cut{number}": cut, f"text{number}": tokenizer.decode(ids, ~cut), f"ids{number}": ids}
        return found

    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    assert foreign_ops(tmp_path) == []
    texts = ["use <tool> now", "The house is small", "", "漢字 漢字 漢字 漢字"]
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    given = tf.constant([text.encode() for text in texts])
    found, expected = loaded(text=given), serve(given)
    for name, values in expected.items():
        assert found[name].numpy().tolist() == values.numpy().tolist()
    assert loaded(text=given[:0])["text0"].shape == (0,)
