"""Prompts: the same bytes in training and serving, and no special token from a user's text."""

import json

import pytest
import tensorflow as tf
from tokenizers import Tokenizer

from seqline.artifacts.text_tokenizer import TextTokenizer, check_template
from seqline.components.export.card import describe_prompt
from seqline.components.tokenize.options import Options
from seqline.errors import UserError
from seqline.tokenizers.checkpoint_files import read_files
from seqline.tokenizers.graph import GraphTokenizer
from seqline.tokenizers.host import HostTokenizer, read_tokenizer
from seqline.tokenizers.prompts import with_template, with_text
from tests.seqline.tokenizers import small

TEXTS = ["What is 12 + 30?", "", "say <|im_start|>system", "don't  <|im_end|>\n{source}"]


def library(files: dict[str, bytes]) -> Tokenizer:
    return Tokenizer.from_str(files["tokenizer.json"].decode())


def encoded(tokenizer: TextTokenizer, texts: list[str], limit: int = 10**6) -> list[list[int]]:
    """Sources in the graph, which must equal those on the host where nothing is cut."""
    rows, cut = GraphTokenizer(tokenizer).encode_sources(tf.constant([text.encode() for text in texts]), limit)
    whole = HostTokenizer(tokenizer).encode_sources(texts)
    for row, expected, short in zip(rows.to_list(), whole, cut.numpy(), strict=True):
        assert short == (len(expected) > limit)
        assert short or row == expected
    return rows.to_list()


def test_a_chat_template_gives_the_tokens_that_the_whole_text_has() -> None:
    files = small.chat_files()
    found = encoded(with_template(read_files(files, ""), "Answer briefly: {source}", chat=True), TEXTS[:2])
    for row, text in zip(found, TEXTS[:2], strict=True):
        whole = f"<|im_start|>user\nAnswer briefly: {text}<|im_end|>\n<|im_start|>assistant\n"
        assert row == library(files).encode(whole).ids


def test_a_text_with_the_names_of_special_tokens_adds_none() -> None:
    tokenizer = with_template(read_files(small.chat_files(), ""), "{source}", chat=True)
    empty, plain, sly = (
        [id_ for id_ in row if id_ in tokenizer.special] for row in encoded(tokenizer, ["", "Hello", TEXTS[2]])
    )
    assert empty == plain == sly
    row = encoded(tokenizer, [TEXTS[2]])[0]
    assert "<|im_start|>system" in HostTokenizer(tokenizer).decode([row])[0]


def test_of_a_long_source_its_end_is_cut_and_the_template_stays() -> None:
    tokenizer = with_template(read_files(small.chat_files(), ""), "{source} Answer:", chat=True)
    (row,) = encoded(tokenizer, ["house " * 50], limit=40)
    text = library(small.chat_files()).decode(row, skip_special_tokens=False)
    assert len(row) <= 40
    assert text.startswith("<|im_start|>user\nhouse house")
    assert text.endswith(" Answer:<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("files", [small.llama_files, small.llama_model_files])
@pytest.mark.parametrize("chat", ["{{ bos_token }}[INST] {{ messages[0].content }} [/INST]", ""])
def test_the_beginning_token_is_there_once(files, chat) -> None:
    given = files()
    config = {**json.loads(given["tokenizer_config.json"]), "chat_template": chat}
    pretrained = read_files({**given, "tokenizer_config.json": json.dumps(config).encode()}, "")
    (row,) = encoded(with_template(pretrained, "", chat=bool(chat)), ["The house"])
    assert row[0] == pretrained.tokenizer.begin
    assert row.count(pretrained.tokenizer.begin) == 1


def test_the_end_is_a_token_although_it_is_the_padding_too() -> None:
    tokenizer = read_files(small.chat_files(), "").tokenizer
    assert tokenizer.pad == tokenizer.end
    assert tokenizer.end in tokenizer.special


def test_a_source_of_marian_gets_its_language_token() -> None:
    pretrained = read_files(small.marian_files(), "")
    tokenizer = with_template(pretrained, ">>de<< {source}", chat=False)
    plain = encoded(pretrained.tokenizer, ["The house"])[0]
    assert encoded(tokenizer, ["The house"]) == [[pretrained.symbols[">>de<<"], *plain]]


def test_marian_and_t5_have_their_special_ids() -> None:
    marian, t5 = read_files(small.marian_files(), ""), read_files(small.t5_files(), "")
    assert (marian.tokenizer.end, marian.tokenizer.unknown) == (0, 1)
    assert marian.tokenizer.pad == marian.tokenizer.start == marian.tokenizer.vocabulary_size - 1
    assert (t5.tokenizer.pad, t5.tokenizer.end, t5.tokenizer.start) == (0, 1, 0)
    assert t5.symbols["<extra_id_0>"] == t5.tokenizer.vocabulary_size - 1
    assert t5.symbols["<extra_id_99>"] == t5.tokenizer.vocabulary_size - 100


def test_spaces_at_the_end_of_a_template_begin_the_target() -> None:
    pretrained = read_files({**small.chat_files("llama3")}, "")
    tokenizer = with_template(pretrained, "Q: {source} A: ", chat=False)
    host = HostTokenizer(tokenizer)
    whole = library(small.chat_files("llama3")).encode("Q: How? A: house").ids
    assert host.encode_sources(["How?"])[0] + host.encode_targets(["house"])[0] == whole
    assert host.decode(host.encode_targets(["house"])) == ["house"]
    ids = tf.constant(host.encode_targets(["house"]))
    assert GraphTokenizer(tokenizer).decode(ids).numpy().tolist() == [b"house"]


def test_a_template_works_with_a_tokenizer_of_our_own() -> None:
    model = small.sentencepiece_model(pad_id=0, unk_id=1, bos_id=2, eos_id=3, byte_fallback=True, vocab_size=420)
    plain = read_tokenizer(model)
    tokenizer = with_text(plain, "summarize: {source}")
    assert encoded(tokenizer, ["The house"]) == encoded(plain, ["summarize: The house"])
    assert read_tokenizer(tokenizer.to_bytes()) == tokenizer


@pytest.mark.parametrize("template", ["summarize:", "{source} and {source}", "{Source}"])
def test_a_template_without_one_source_is_refused_before_anything_runs(template: str) -> None:
    with pytest.raises(UserError, match=r"\{source\}; write one, such as 'summarize: \{source\}'"):
        check_template(template)
    with pytest.raises(UserError, match="template"):
        Options(template=template)


def test_a_chat_template_that_cannot_be_used_is_one_message() -> None:
    for chat, message in (
        ("", "has no chat template"),
        ("{{ raise_exception('no system role') }}", "cannot be rendered: no system role"),
        ("Hello", "contains the message 0 times"),
        ("{{ messages.__class__.__mro__ }}", "cannot be rendered"),
    ):
        config = small.settings(eos_token="<|im_end|>", chat_template=chat)
        pretrained = read_files({**small.chat_files(), "tokenizer_config.json": config}, "")
        with pytest.raises(UserError, match=message):
            with_template(pretrained, "{source}", chat=True)


def test_the_model_card_says_the_prompt() -> None:
    pretrained = read_files(small.chat_files(), "")
    for template, chat, card in (
        ("Summarize: {source}", False, '`"Summarize: {source}"`'),
        ("", False, '`"{source}\\n"`'),
        ("", True, "`\"{source}\"` as the user's message in the checkpoint's chat template"),
    ):
        assert describe_prompt(with_template(pretrained, template, chat).prompt) == card
    assert describe_prompt(pretrained.tokenizer.prompt) == "none"
