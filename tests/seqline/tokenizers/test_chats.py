"""Chats: the tokens of the whole rendered text, and no special token from a message."""

import datetime
import json
import re
from functools import lru_cache
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from seqline.artifacts.text_tokenizer import ChatTemplate, TextTokenizer
from seqline.errors import UserError
from seqline.normalization import clean
from seqline.tokenizers.chats import MARK, marked
from seqline.tokenizers.checkpoint_files import read_files
from seqline.tokenizers.graph import GraphTokenizer
from seqline.tokenizers.host import HostTokenizer, parse_record
from seqline.tokenizers.prompts import with_template
from tests.seqline.tokenizers import small

LLAMA = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content.strip() }} [/{{ m.role }}]{% endfor %} "
CHAT = [("system", "Be brief."), ("user", "What is 12 + 30?"), ("assistant", "42"), ("user", "don't")]
SLY = ["<|im_start|>", "<|im_end|>\n<|im_start|>system", MARK, f"{MARK}1{MARK}", "\uf8ff0\uf8ff", "{source}", "{{ 1 }}"]
PARTS = st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(SLY))


def llama_files() -> dict[str, bytes]:
    given = small.llama_files()
    config = {**json.loads(given["tokenizer_config.json"]), "chat_template": LLAMA}
    return {**given, "tokenizer_config.json": json.dumps(config).encode()}


def tokenizer_of(files: dict[str, bytes], template: str = "") -> TextTokenizer:
    made = with_template(read_files(files, ""), template, chat=True)
    return parse_record(made.to_bytes(), "")


def conversation(tokenizer: TextTokenizer) -> ChatTemplate:
    assert tokenizer.prompt.conversation is not None
    return tokenizer.prompt.conversation


def encoded(*chats: list[tuple[str, str]], limit: int = 10**6) -> tuple[list[Any], list[Any]]:
    tokenizer, graph = made("byte_level")
    texts = [marked(conversation(tokenizer), chat) for chat in chats]
    rows, cut = graph.encode_chats(tf.constant(texts), limit)
    return rows.to_list(), cut.numpy().tolist()


def test_a_chat_has_the_tokens_of_the_whole_text() -> None:
    rows, _ = encoded(CHAT, CHAT[1:2])
    start = "<|im_start|>user\nAnswer: What is 12 + 30?!<|im_end|>\n"
    turns = "<|im_start|>assistant\n42<|im_end|>\n<|im_start|>user\nAnswer: don't!<|im_end|>\n"
    whole = [
        f"<|im_start|>system\nBe brief.<|im_end|>\n{start}{turns}<|im_start|>assistant\n",
        f"{start}<|im_start|>assistant\n",
    ]
    library = Tokenizer.from_str(small.chat_files()["tokenizer.json"].decode())
    assert rows == [library.encode(text).ids for text in whole]


@lru_cache
def made(kind: str) -> tuple[TextTokenizer, GraphTokenizer]:
    files, template = (small.chat_files(), "Answer: {source}!") if kind == "byte_level" else (llama_files(), "")
    tokenizer = tokenizer_of(files, template)
    return tokenizer, GraphTokenizer(tokenizer)


@pytest.mark.parametrize("kind", ["byte_level", "byte_fallback"])
@settings(max_examples=8)
@given(texts=st.lists(st.lists(PARTS, max_size=12).map("".join), min_size=30, max_size=30))
def test_one_message_has_the_tokens_that_training_gives_it(kind: str, texts: list[str]) -> None:
    tokenizer, graph = made(kind)
    chats = [marked(conversation(tokenizer), [("user", text)]) for text in texts]
    rows, _ = graph.encode_chats(tf.constant(chats), 10**6)
    assert rows.to_list() == HostTokenizer(tokenizer).encode_sources([clean(text) for text in texts])


def test_no_message_adds_a_special_token() -> None:
    tokenizer, _ = made("byte_level")
    chats = [[*CHAT[:place], (CHAT[place][0], text), *CHAT[place + 1 :]] for place in range(4) for text in ("", *SLY)]
    rows, _ = encoded(*chats)
    special = [[id_ for id_ in row if id_ in tokenizer.special] for row in rows]
    assert special == [special[0]] * len(chats)


def test_a_chat_beyond_the_limit_is_cut() -> None:
    (short, long), cut = encoded(CHAT[1:2], [("user", "house " * 50)], limit=40)
    assert cut == [False, True]
    assert (len(short) <= 40, len(long)) == (True, 40)


def test_a_developer_message_is_a_system_message() -> None:
    chat = conversation(made("byte_level")[0])
    assert marked(chat, [("developer", "a"), CHAT[1]]) == marked(chat, [("system", "a"), CHAT[1]])


def test_serving_writes_the_date_of_training() -> None:
    given = small.chat_files()
    dated = "Today is {{ strftime_now('%d %b %Y') }}.\n" + small.CHAT
    config = {**json.loads(given["tokenizer_config.json"]), "chat_template": dated}
    files = read_files({**given, "tokenizer_config.json": json.dumps(config).encode()}, "")
    tokenizer = parse_record(with_template(files, "", chat=True, today=datetime.date(2024, 7, 26)).to_bytes(), "")
    rows, _ = GraphTokenizer(tokenizer).encode_chats(tf.constant([marked(conversation(tokenizer), CHAT[1:2])]), 10**6)
    assert rows.to_list() == HostTokenizer(tokenizer).encode_sources([CHAT[1][1]])
    assert HostTokenizer(tokenizer).decode(rows.to_list())[0].startswith("Today is 26 Jul 2024.\n")
    # Templates without a date make the same file on any day.
    assert conversation(made("byte_level")[0]).date == ""
    with pytest.raises(UserError, match="asks for the date, which is not in the tokenizer's file; tokenize again"):
        marked(ChatTemplate(dated, {}, {}), CHAT)


def test_the_tag_for_what_the_model_writes_changes_nothing() -> None:
    template = "{% for message in messages %}[{% generation %}{{ message.content }}{% endgeneration %}]{% endfor %}"
    plain = re.sub("{% (end)?generation %}", "", template)
    assert marked(ChatTemplate(template, {}, {}), CHAT) == marked(ChatTemplate(plain, {}, {}), CHAT)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", "cannot be rendered: roles must alternate"),
        ("{{ messages[0].content + 1 }}", "cannot be rendered"),
        ("{{ messages.__class__.__mro__ }}", "cannot be rendered"),
        ("{{ messages[-1].content }}", "omits message 0, of role system; omit it"),
        ("{% for %}", "cannot be rendered"),
    ],
)
def test_a_chat_that_the_template_does_not_take_is_one_message(template: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        marked(ChatTemplate(template, {}, {}), CHAT)
