"""Compressed bodies and charsets."""

import contextlib
import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.serving.body_encoding import MEMBERS, check_encoding, unpack
from seqline.serving.request_errors import RequestError


def refusal(content: bytes, limit: int = 100) -> tuple[int, str]:
    with pytest.raises(RequestError) as error:
        unpack(content, limit)
    return error.value.cause.value[0], str(error.value)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=MEMBERS))
def test_a_gzip_body_of_one_part_or_several_is_unpacked(parts: list[bytes]) -> None:
    assert unpack(b"".join(map(gzip.compress, parts)), 1000) == b"".join(parts)


def test_a_body_may_have_just_the_size_of_the_limit() -> None:
    assert unpack(gzip.compress(b"a" * 100), 100) == b"a" * 100
    assert refusal(gzip.compress(b"a" * 101)) == (413, "the unpacked body has more than 100 bytes")
    assert refusal(gzip.compress(b"a" * 60) * 2)[0] == 413


def test_a_small_body_that_unpacks_to_much_takes_little_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(40_000_000))
    tracemalloc.start()
    assert refusal(bomb, 1_000_000)[0] == 413
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "body: is not gzip"),
        (b"", "body: the gzip data end too early"),
        (gzip.compress(b"abc")[:-1], "body: the gzip data end too early"),
        (gzip.compress(b"abc") + b"x" * 20, "body: is not gzip"),
        (gzip.compress(b"") * (MEMBERS + 1), "body: has more than 16 parts"),
    ],
)
def test_what_is_no_gzip_is_refused(content: bytes, message: str) -> None:
    status, words = refusal(content)
    assert status == 400
    assert words.startswith(message)


@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda tail: gzip.compress(b"abc")[:20] + tail))
def test_any_bytes_are_unpacked_or_refused(content: bytes) -> None:
    with contextlib.suppress(RequestError):
        assert len(unpack(content, 100)) <= 100


@pytest.mark.parametrize(
    ("headers", "packed"),
    [
        ({}, False),
        ({"content-encoding": "identity"}, False),
        ({"content-encoding": " GZIP"}, True),
        ({"content-encoding": "x-gzip", "content-type": "application/json; charset=UTF-8"}, True),
        ({"content-type": 'text/plain; boundary=x; Charset="utf8"'}, False),
        ({"content-type": "application/json;charset=us-ascii"}, False),
    ],
)
def test_utf_8_and_gzip_are_taken(headers: dict[str, str], packed: bool) -> None:
    assert check_encoding(headers) is packed


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"content-encoding": "br"}, "Content-Encoding: br is not supported; send gzip"),
        ({"content-encoding": "deflate"}, "Content-Encoding: deflate is not supported"),
        ({"content-encoding": "gzip, gzip"}, "is not supported"),
        ({"content-type": "application/json; charset=utf-16"}, "charset utf-16 is not supported; send UTF-8"),
        ({"content-type": "application/json; charset='ISO-8859-1'"}, "charset ISO-8859-1 is not supported"),
    ],
)
def test_other_encodings_are_refused_with_what_is_taken(headers: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError) as error:
        check_encoding(headers)
    assert error.value.cause.value[0] == 415
    assert message in str(error.value)
