"""A tokenizer that the graph cannot represent is refused by name, with what is supported."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from seqline.errors import UserError
from seqline.tokenizers.bpe import read_bpe
from seqline.tokenizers.checkpoint_files import read_files
from tests.seqline.tokenizers import small

Change = Callable[[dict[str, Any]], Any]
CHANGES: dict[str, tuple[Change, str]] = {
    "WordPiece": (lambda file: file["model"].update(type="WordPiece"), "model 'WordPiece' is not supported"),
    "Unigram": (lambda file: file["model"].update(type="Unigram"), "give its SentencePiece file"),
    "normalizer": (lambda file: file.update(normalizer={"type": "Lowercase"}), "normalizer 'Lowercase'"),
    "pre-tokenizer": (lambda file: file.update(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer 'Whitespace'"),
    "no pre-tokenizer": (lambda file: file.update(pre_tokenizer=None), "pre_tokenizer None"),
    "expression": (
        lambda file: file.update(
            pre_tokenizer={
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Isolated", "invert": False},
                    {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
                ],
            }
        ),
        r"pre_tokenizer Split .*\\w\+",
    ),
    "post-processor": (
        lambda file: file.update(post_processor={"type": "BertProcessing", "sep": ["x", 1], "cls": ["y", 2]}),
        "post_processor 'BertProcessing'",
    ),
    "decoder": (lambda file: file.update(decoder={"type": "WordPiece"}), r"decoder \['WordPiece'\]"),
    "dropout": (lambda file: file["model"].update(dropout=0.1), "model.dropout 0.1"),
    "suffix": (lambda file: file["model"].update(end_of_word_suffix="</w>"), "model.end_of_word_suffix '</w>'"),
    "merge": (lambda file: file["model"]["merges"].append(["Ġthe", "Ġzzz"]), "merge .* needs 'Ġzzz'"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_unsupported_part_of_tokenizer_json_is_named(change: str) -> None:
    file = json.loads(small.byte_level())
    CHANGES[change][0](file)
    with pytest.raises(UserError, match=CHANGES[change][1]):
        read_bpe(json.dumps(file).encode())


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"[]", b'{"model": 3}', b'{"model": {"type": "BPE"}}'])
def test_a_broken_tokenizer_json_is_one_message(content: bytes) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        read_bpe(content)


def test_missing_and_broken_files_of_a_checkpoint_are_one_message() -> None:
    marian = small.marian_files()
    for files, message in (
        ({"config.json": b"{}"}, "none of tokenizer.json, tokenizer.model, spiece.model and source.spm"),
        ({"spiece.model": b"pieces"}, "spiece.model is no SentencePiece model"),
        ({**marian, "source.spm": b"pieces"}, "source.spm is no SentencePiece model"),
        ({**marian, "vocab.json": b"[1]"}, "vocab.json is no table of ids"),
        ({name: marian[name] for name in ("source.spm", "vocab.json")}, "no target.spm"),
        ({**marian, "tokenizer_config.json": b'{"separate_vocabs": true}'}, "separate_vocabs"),
        ({"tokenizer.json": small.byte_level()}, "has no end token"),
        ({**small.chat_files(), "tokenizer_config.json": b'{"eos_token": "<eos>"}'}, "names '<eos>' as its eos_token"),
        ({**small.chat_files(), "tokenizer_config.json": b"{"}, "tokenizer_config.json is no JSON"),
        # Tools write another format as tokenizer.model beside a tokenizer.json that is not supported.
        ({"tokenizer.json": b"{}", "tokenizer.model": b"GGUF"}, "tokenizer.json"),
    ):
        with pytest.raises(UserError, match=message):
            read_files(files, "folder")
