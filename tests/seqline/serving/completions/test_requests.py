"""Bodies of completion and chat requests."""

import contextlib
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.serving.completions.requests import CompletionRequest, Message, parse_chat, parse_completion
from seqline.serving.limits import Limits
from seqline.serving.request_errors import RequestError

LIMITS = Limits(text_characters=50, texts=20)


def completion(**fields: Any) -> CompletionRequest:
    return parse_completion(json.dumps({"model": "m", "prompt": "a", **fields}).encode(), LIMITS)


def chat(*messages: Any, **fields: Any) -> CompletionRequest:
    return parse_chat(json.dumps({"model": "m", "messages": messages, **fields}).encode(), LIMITS)


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


@pytest.mark.parametrize(("prompt", "read"), [("a", ("a",)), (["a", "b"], ("a", "b")), (["é\n"], ("é\n",))])
def test_prompts_are_a_text_or_several(prompt: Any, read: tuple[str, ...]) -> None:
    assert completion(prompt=prompt).prompts == read


def test_a_chat_has_messages_as_texts_or_in_parts() -> None:
    parts = [{"type": "text", "text": "b"}, {"text": "c", "type": "text"}]
    request = chat({"role": "system", "content": "a"}, user(parts, name="me"), {"content": "d", "role": "assistant"})
    assert request.messages == (Message("system", "a"), Message("user", "bc"), Message("assistant", "d"))


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({}, {"max_output_length": 9}),
        ({"max_tokens": 3, "min_tokens": 2}, {"max_output_length": 3, "min_output_length": 2}),
        ({"max_tokens": 5, "max_completion_tokens": 4.0}, {"max_output_length": 4}),
        # Without sampling there is nothing to seed; clients send these together.
        ({"temperature": 0, "top_p": 0.5, "seed": 3}, {"max_output_length": 9}),
        ({"seed": 3}, {"max_output_length": 9}),
        ({"temperature": 1.5, "seed": -1}, {"sampling": True, "temperature": 1.5, "seed": 2**31 - 1}),
        ({"temperature": 0.0001}, {"sampling": True, "temperature": 0.01}),
        ({"top_p": 0.5}, {"sampling": True, "top_p": 0.5}),
        ({"top_k": 4, "n": 2}, {"sampling": True, "top_k": 4, "n_best": 2}),
        ({"top_p": 1}, {"max_output_length": 9}),
        ({"repetition_penalty": 2, "no_repeat_ngram_size": 3}, {"repetition_penalty": 2.0, "no_repeat_ngram_size": 3}),
        ({"temperature": None, "stop": None, "stream_options": None, "logprobs": None}, {"max_output_length": 9}),
    ],
)
def test_options_are_those_of_decoding(fields: dict[str, Any], parameters: dict[str, Any]) -> None:
    assert dict(completion(**fields).parameters(9)) == {"max_output_length": 9, **parameters}


@pytest.mark.parametrize(
    "fields",
    [
        {"frequency_penalty": 0.0, "presence_penalty": 0, "logprobs": False, "best_of": 1, "echo": False},
        {"tools": [], "tool_choice": "auto", "response_format": {"type": "text"}, "logit_bias": {}},
        {"user": "someone", "metadata": {"a": {"b": [1, "}"]}}, "store": True, "service_tier": "auto"},
    ],
)
def test_fields_that_change_nothing_are_ignored(fields: dict[str, Any]) -> None:
    assert completion(**fields) == completion()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "model: Field required"),
        ({"model": "m"}, "prompt: Field required"),
        ({"model": "m", "prompt": []}, "prompt: is empty"),
        ({"model": "m", "prompt": [1, 2]}, "prompt.0: ids of tokens are not supported; send text"),
        ({"model": "m", "prompt": [[1]]}, "prompt.0: ids of tokens are not supported; send text"),
        ({"model": "m", "prompt": "a" * 51}, "text 0 has 51 characters; the limit is 50"),
        ({"model": "m", "prompt": ["a"] * 21}, "too many texts in one request; the limit is 20"),
        ({"model": "m", "prompt": "a", "temperature": "hot"}, "temperature: Input should be a number"),
        ({"model": "m", "prompt": "a", "temperature": -1}, "temperature: Input should be greater than or equal to 0"),
        ({"model": "m", "prompt": "a", "stream": 1}, "stream: Input should be a valid boolean"),
        ({"model": "m", "prompt": "a", "temprature": 1}, "temprature: is unknown; did you mean 'temperature'?"),
        ({"model": "m", "prompt": "a", "logprobs": 0}, "logprobs: is not supported; omit it or send False"),
        ({"model": "m", "prompt": "a", "echo": True}, "echo: is not supported"),
        ({"model": "m", "prompt": "a", "best_of": 2}, "best_of: is not supported; omit it or send 1"),
        ({"model": "m", "prompt": "a", "tools": [{"type": "function"}]}, "tools: is not supported; omit it"),
        ({"model": "m", "prompt": "a", "tools": ["x" * 20_000]}, "tools: is not supported; omit it"),
        ({"model": "m", "prompt": "a", "metadata": {"x": "y" * 20_000}}, "metadata: is too long"),
        ({"model": "m", "prompt": "a", "stop": ""}, "stop: has 0 characters, not 1 to 256"),
        ({"model": "m", "prompt": "a", "stop": ["a"] * 17}, "stop: has more than 16 texts"),
        ({"model": "m", "prompt": "a", "stream_options": True}, "stream_options: Input should be an object"),
    ],
)
def test_a_body_that_is_not_supported_is_refused_by_field(body: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as error:
        parse_completion(json.dumps(body).encode(), LIMITS)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"role": "user"}, "messages.0.content: Field required"),
        ({"content": "a"}, "messages.0.role: Field required"),
        ({"role": "tool", "content": "a"}, "messages.0.role: Input should be one of system, developer, user"),
        (user([{"type": "image_url", "image_url": "x"}]), "messages.0.content.0.type: 'image_url' is not supported"),
        (user([{"image_url": "x"}]), "messages.0.content.0.image_url: is not supported; this model takes text"),
        (user("a", tool_calls=[{}]), "messages.0.tool_calls: tools are not supported"),
        (user([{"type": "text", "text": "a" * 26}] * 2), "text 0 has 52 characters; the limit is 50"),
    ],
)
def test_a_message_that_is_not_supported_is_refused_by_field(message: dict[str, Any], error: str) -> None:
    with pytest.raises(RequestError) as raised:
        chat(message)
    assert error in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_tokens": 10}, "max_tokens: 10 is above the model's limit of 9"),
        ({"max_completion_tokens": 10}, "max_completion_tokens: 10 is above the model's limit of 9"),
        ({"max_tokens": 2, "min_tokens": 3}, "min_tokens: is above max_tokens"),
        ({"min_tokens": 10}, "min_tokens: is above 9"),
    ],
)
def test_more_tokens_than_the_model_has_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        completion(**fields).parameters(9)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3)
)
fields = st.sampled_from(["model", "prompt", "messages", "stop", "stream_options", "tools", "user", "n", "stream", "x"])


@given(st.dictionaries(fields, values | st.dictionaries(st.sampled_from(["role", "content"]), values)), st.integers(0))
def test_any_body_is_read_or_refused(body: dict[str, Any], cut: int) -> None:
    content = json.dumps(body).encode()
    for parse, part in itertools.product((parse_completion, parse_chat), (content, content[: cut % len(content)])):
        with contextlib.suppress(RequestError):
            assert parse(part, LIMITS).model == body["model"]


@pytest.mark.parametrize("field", ["metadata", "tools", "messages", "prompt", "stop", "stream_options"])
def test_deep_nesting_is_refused(field: str) -> None:
    content = b'{"model": "m", "' + field.encode() + b'": ' + b"[" * 9_000
    with pytest.raises(RequestError):
        parse_completion(content, LIMITS)
    with pytest.raises(RequestError):
        parse_chat(content, LIMITS)
