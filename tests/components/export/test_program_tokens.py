"""Tokens in the exported program: limits, ends and prompts. The model is tiny, and nothing is traced."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.artifacts.exported_model import Decoding
from seqline.artifacts.text_tokenizer import TextTokenizer
from seqline.components.export.program import TEXTS, Program
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from seqline.tokenizers.chats import marked
from seqline.tokenizers.checkpoint_files import read_files
from seqline.tokenizers.host import HostTokenizer, read_tokenizer
from seqline.tokenizers.prompts import with_template
from tests.seqline.tokenizers import small

OWN = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}


def program(tokenizer: TextTokenizer, content: bytes, folder: Path, length: int = 12, **choices: Any) -> Program:
    ids: dict[str, Any] = {
        "pad_id": tokenizer.pad,
        "unk_id": tokenizer.unknown,
        "bos_id": tokenizer.start,
        "eos_id": tokenizer.end,
    }
    if tokenizer.unknown < 0:
        ids["unk_id"] = None
    config = TransformerConfig(
        vocabulary_size=tokenizer.vocabulary_size,
        encoder_layers=0 if choices else 1,
        decoder_layers=1,
        hidden_dim=8,
        intermediate_dim=8,
        num_heads=2,
        **{**ids, **choices},
    )
    file = folder / "tokenizer"
    file.write_bytes(content)
    return Program(make_model(config), file, Decoding(max_input_length=length, max_output_length=12))


def rows(ids: tf.Tensor, end: int) -> list[list[int]]:
    return [row[: row.index(end) + 1] for row in ids.numpy().tolist()]


def test_sources_and_targets_end_and_are_cut_at_the_limit(tmp_path: Path) -> None:
    model = small.sentencepiece_model(byte_fallback=True, vocab_size=420, **OWN)
    tokenizer = read_tokenizer(model)
    found, host = program(tokenizer, model, tmp_path), HostTokenizer(tokenizer)
    texts = ["house", "", "The house is small, and the garden isn't", "a\t  b\x00"]
    (expected,) = [host.encode_sources(["house", "", texts[2], "a b"])]
    for encode in (found.read, lambda text: found.encode(text, 12)):
        ids, cut = encode(tf.constant(texts))
        assert rows(ids, 3) == [[*row[:11], 3] for row in expected]
        assert cut.numpy().tolist() == [len(row) > 11 for row in expected]
    assert found.decode(ids)[0].numpy() == b"house"
    assert found.read(tf.constant([], tf.string))[0].shape[0] == 0


def test_a_source_gets_its_prompt(tmp_path: Path) -> None:
    tokenizer = with_template(read_files(small.t5_files(), ""), "summarize: {source}", chat=False)
    found, host = program(tokenizer, tokenizer.to_bytes(), tmp_path), HostTokenizer(tokenizer)
    ids, _ = found.read(tf.constant(["a"]))
    assert rows(ids, 1) == [[*host.encode_sources(["a"])[0][:11], 1]]


def test_the_tokens_of_inputs_and_results_are_counted(tmp_path: Path) -> None:
    model = small.sentencepiece_model(byte_fallback=True, vocab_size=420, **OWN)
    tokenizer = read_tokenizer(model)
    found, texts = program(tokenizer, model, tmp_path), ["house", "", "The house is small, and the garden isn't"]
    source, _ = found.read(tf.constant(texts))
    rows = HostTokenizer(tokenizer).encode_sources(texts)
    assert found.counted(source).numpy().tolist() == [min(len(row) + 1, 12) for row in rows]
    # Ended, ended at the limit, not ended, and a result that is missing.
    ids = tf.constant([[[5, 3, 0], [5, 6, 3]], [[5, 6, 7], [0, 0, 0]]])
    counts = found.counts(ids)
    assert counts["output_tokens"].numpy().tolist() == [[2, 3], [3, 0]]
    assert counts["finished"].numpy().tolist() == [[True, True], [False, False]]
    assert found.counts(tf.zeros((0, 2, 3), tf.int32))["output_tokens"].shape == (0, 2)


def test_a_rendered_chat_enters_as_its_tokens(tmp_path: Path) -> None:
    tokenizer = with_template(read_files(small.chat_files(), ""), "{source}", chat=True)
    choices = {"architecture": "gpt", "prompt_form": "template"}
    found = program(tokenizer, tokenizer.to_bytes(), tmp_path, length=64, **choices)
    assert tokenizer.prompt.conversation
    texts = ["a house", "<|im_end|>"]
    chats = [marked(tokenizer.prompt.conversation, [("user", text)]) for text in texts]
    traced = tf.function(found.start, autograph=False)
    start = traced.get_concrete_function(text=TEXTS, rendered=tf.TensorSpec((), tf.bool))

    def begin(rows: list[str], rendered: bool) -> dict[str, Any]:
        return dict(start(text=tf.constant(rows), rendered=tf.constant(rendered)))

    plain, rendered = begin(texts, False), begin(chats, True)
    assert plain.keys() == rendered.keys()
    for name, value in plain.items():
        np.testing.assert_array_equal(value, rendered[name], name)
    # Elsewhere marks are text.
    assert begin(chats, False)["input_tokens"][0] > plain["input_tokens"][0]
    assert begin(["a " * 99], True)["cut"]


def test_the_end_counts_where_it_is_the_padding_too(tmp_path: Path) -> None:
    tokenizer = read_files(small.chat_files(), "").tokenizer
    found = program(tokenizer, tokenizer.to_bytes(), tmp_path, architecture="gpt", prompt_form="template")
    end = tokenizer.end
    counts = found.counts(tf.constant([[[5, end, -1], [5, 6, end]]]))
    assert counts["output_tokens"].numpy().tolist() == [[2, 3]]
    assert found.counted(tf.constant([[end, 5, -1], [end, 5, end]])).numpy().tolist() == [2, 3]


@pytest.mark.parametrize("done", [False, True])
def test_an_unfinished_character_is_held_back_until_the_end(done: bool, tmp_path: Path) -> None:
    model = small.sentencepiece_model(byte_fallback=True, vocab_size=420, **OWN)
    tokenizer = read_tokenizer(model)
    found, (row,) = program(tokenizer, model, tmp_path), HostTokenizer(tokenizer).encode_targets(["a 𝄞"])
    (text,) = found.decode(tf.constant([[2, *row[:-1]]]), tf.constant([done])).numpy()
    assert ("\ufffd" in text.decode()) == done
    assert text.decode().startswith("a")
