"""The reader of request bodies: it accepts the documented format, and stops at the first error or limit."""

import asyncio
import base64
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from seqline.serving import request_body
from seqline.serving.contract import Base64, Columns, PredictRequest, Text
from seqline.serving.limits import Limits
from seqline.serving.request_body import Body, parse_body, read_body
from seqline.serving.request_errors import RequestError

LIMITS = Limits(texts=3, text_characters=4, characters=8)
GARBAGE = b" \xff not JSON, or the rest of 10 MB"


def parse(body: bytes, limits: Limits = LIMITS) -> Body:
    return parse_body(body, limits)


def refusal(body: bytes, limits: Limits = LIMITS) -> tuple[int, str]:
    with pytest.raises(RequestError) as error:
        parse(body, limits)
    return error.value.cause.value[0], str(error.value)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"instances": [1, 2', 400, "instances.0: Input should be a text, or an object with text or b64"),
        (b'{"instances": ["a", [[[[', 400, "instances.1: Input should be a text"),
        (b'{"instances": ["a", null', 400, "instances.1: Input should be a text"),
        (b'{"instances": {', 400, "instances: Input should be a valid array"),
        (b'{"instances": [{"other"', 400, "instances.0.other: is unknown; available: b64, text"),
        (b'{"instances": [{"text": 3', 400, "instances.0.text: Input should be a valid string"),
        (b'{"instances": [{"text": "a", "b64":', 400, "instances.0: set either text or b64"),
        (b'{"instances": [], "instances"', 400, "instances: is set twice"),
        (b'{"inputs": {"text": 7', 400, "inputs.text: Input should be a valid string"),
        (b'{"inputs": [{', 400, "body: Invalid JSON at byte"),
        (b'{"inputs": [{"text"', 400, "inputs.0.text: is unknown; available: b64"),
        (b'{"inputs": 7', 400, "inputs: Input should be a valid string"),
        (b'{"inputs": {"b64": "YQ==", "text": ', 400, "inputs: set either text or b64"),
        (b'{"instances": [{"text": {"b64": {', 400, "instances.0.text.b64: Input should be a valid string"),
        (b'{"instances": [{"text": {}', 400, "instances.0.text.b64: Field required"),
        (b'{"instances": ["a", {"b64": "w7w_PsO8Pz4x"', 400, "instances.1.b64: is not base64; write + and /"),
        (b'{"instances": ["a", {"b64": "Zvxy"', 400, "instances.1.b64: is base64 of bytes that are not UTF-8"),
        (b'{"instances": [{"b64": "YWJjY"', 400, "instances.0.b64: is not base64"),
        (b"\xff\xfe{\x00", 400, "body: is not in UTF-8 but in UTF-16"),
        (b'{\x00"\x00', 400, "body: is not in UTF-8 but in UTF-16"),
        (b'{"instances": [NaN', 400, "instances.0: Input should be a text"),
        (b'{"instances": null}', 400, "body: "),
        (b'{"other"', 400, "other: is unknown; available: "),
        (b'{"parameters": {"beam_size": [', 400, "parameters.beam_size: Input should be a number or a boolean"),
        (b'{"parameters": {"beam_size": ' + b"9" * 100, 400, "parameters.beam_size: Input should be a number"),
        (b'{"stream": 1', 400, "stream: Input should be a valid boolean"),
        (b'{"signature_name": "other"', 400, "signature_name: Input should be 'serving_default'"),
        (b"[", 400, "body: Input should be an object"),
        (b'{"instances": ["a\xff"', 400, "instances.0: is not valid Unicode"),
        (b'{"instances": ["\\ud800"', 400, "instances.0: is not valid Unicode"),
        (b'{"instances": ["a"' + b" " * 70_000, 413, "body: too many spaces in a row"),
    ],
)
def test_the_first_error_ends_the_reading(body: bytes, status: int, message: str) -> None:
    found, words = refusal(body + GARBAGE)
    assert found == status
    assert words.startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"instances": ["a", "b", "c",', "too many texts in one request; the limit is 3"),
        (b'{"inputs": ["a", "b", "c",', "too many texts in one request; the limit is 3"),
        (b'{"inputs": {"text": ["a", "b", "c",', "too many texts in one request; the limit is 3"),
        (b'{"instances": ["a", "bbbbb"', "text 1 has 5 characters; the limit is 4"),
        (b'{"instances": [{"b64": "' + base64.b64encode(b"b" * 5) + b'"', "text 0 has 5 characters; the limit is 4"),
        (b'{"instances": ["aaa", "bbb", "ccc"', "too many characters in one request; the limit is 8"),
        (b'{"inputs": {"text": ["aaa", "bbb", "ccc"', "too many characters in one request; the limit is 8"),
        # A string that cannot be within the limit is not decoded: its end, if it has one, is not looked for.
        (b'{"instances": ["' + b"a" * 49, "instances.0: the string is too long"),
        (b'{"instances": [{"text": "' + b"\xff" * 49, "instances.0.text: the string is too long"),
    ],
)
def test_a_limit_holds_before_the_rest_is_read(body: bytes, message: str) -> None:
    assert refusal(body + GARBAGE + b'"]}' + b" " * 20) == (413, message)


def test_the_longest_text_may_be_written_in_escapes() -> None:
    assert parse(b'{"instances": ["' + b"\\ud83d\\ude00" * 4 + b'"]}').texts == ["\U0001f600" * 4]
    assert parse(b'{"instances": ["\\"\\\\\\"\\n", "\\\\"]}').texts == ['"\\"\n', "\\"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"instances"', b'{"instances": ["a"', b'{"instances": ["a', b'{"instances": ["a\\"]}']
)
def test_a_body_that_ends_too_early_is_not_json(body: bytes) -> None:
    assert refusal(body)[1].startswith("body: Invalid JSON at byte")


@pytest.mark.parametrize("tail", [b"}", b",", b'"', b"\x0b", b"x"])
def test_nothing_follows_the_object(tail: bytes) -> None:
    assert refusal(b'{"instances": ["a"]}' + tail)[1].startswith("body: Invalid JSON at byte 20")


texts = st.text(st.characters(codec="utf-8"), max_size=9)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**40) | st.floats(allow_nan=False, width=32) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "beam_size", "x"]), inner, max_size=2)
    ),
    max_leaves=5,
)
packed = st.fixed_dictionaries({"b64": texts.map(lambda text: base64.b64encode(text.encode()).decode())})
objects = st.fixed_dictionaries({"text": texts | packed}) | packed
columns = st.lists(texts | packed, max_size=3) | texts | packed
parameters = st.dictionaries(
    st.sampled_from(["beam_size", "top_p", "sampling", "temperature", "seed", "length_penalty"]),
    st.none() | st.booleans() | st.integers(-1, 20) | st.sampled_from([0.5, 4.0, 1e300]) | texts,
    max_size=3,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "instances": st.lists(texts | objects | values, max_size=3) | values,
        "inputs": columns | st.fixed_dictionaries({"text": columns}) | values,
        "parameters": parameters | values,
        "stream": st.booleans() | values,
        "signature_name": st.sampled_from(["serving_default", "", None]) | values,
        "other": values,
    },
)


def documented(body: bytes) -> Any:
    """The body as the documented model reads it; None if it refuses it."""
    try:
        found = PredictRequest.model_validate_json(body)
    except ValidationError:
        return None
    column = found.inputs.text if isinstance(found.inputs, Columns) else found.inputs
    given_texts = found.instances if column is None else column if isinstance(column, list) else [column]
    specified = found.parameters.specified() if found.parameters else ()
    return [_text(one) for one in given_texts or []], specified, bool(found.stream), column is not None


def _text(instance: str | Text | Base64) -> str:
    if isinstance(instance, Base64):
        return base64.b64decode(instance.b64).decode()
    return instance if isinstance(instance, str) else _text(instance.text)


def read(content: bytes) -> Any:
    """The body as the server reads it; None if it refuses it."""
    try:
        found = parse_body(content, Limits())
    except RequestError:
        return None
    return found.texts, found.parameters, found.stream, found.by_column


@given(bodies, st.booleans(), st.sampled_from([None, 2]))
def test_what_the_documented_format_accepts_is_read_and_the_rest_refused(
    body: dict[str, Any], escaped: bool, indent: int | None
) -> None:
    content = json.dumps(body, ensure_ascii=escaped, indent=indent).encode()
    assert read(content) == documented(content)


@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda tail: b'{"instances": ["a", ' + tail))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert read(content) == documented(content)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": ["a"], "parameters": null, "stream": null, "signature_name": null, "inputs": null}',
        b'{"instances": [{"b64": "YQ=="}], "signature_name": ""}',
        b'{"instances": [{"b64": "YQ"}]}',
        b'{"instances": [{"text": {"b64": "Y\\nQ=="}}]}',
        b'\xef\xbb\xbf {"instances": ["a"]}',
    ],
)
def test_a_body_as_clients_write_it_is_taken(body: bytes) -> None:
    assert parse(body) == Body(["a"], (), False, by_column=False)


@pytest.mark.parametrize(
    "inputs", ['"a"', '{"b64": "YQ=="}', '[{"b64": "YQ=="}]', '{"text": {"b64": "YQ=="}}', '{"text": "a"}']
)
def test_a_column_holds_texts_or_bytes_in_brackets_or_without(inputs: str) -> None:
    assert parse(b'{"instances": null, "inputs": ' + inputs.encode() + b"}") == Body(["a"], (), False, by_column=True)


def test_a_large_body_is_read_in_another_thread() -> None:
    async def read(size: int) -> threading.Thread:
        return await read_body(bytes(size), LIMITS, False, lambda content, limits: threading.current_thread())

    here = threading.current_thread()
    assert asyncio.run(read(request_body.INLINE_BYTES)) is here
    assert asyncio.run(read(request_body.INLINE_BYTES + 1)) is not here
