"""Server-sent events of a streamed answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.endpoints.back_end import RefusedError
from seqline.endpoints.events import deltas
from seqline.errors import UserError

PIECES = b'data: {"index":0,"delta":"Ein"}\n\ndata: {"index":0,"delta":" Hund"}\n\n'


def test_the_pieces_are_those_of_the_answer() -> None:
    lines = PIECES + b'event: done\ndata: {"predictions":[{"text":"Ein Hund"}]}\n\n'
    assert list(deltas(lines.splitlines(keepends=True))) == ["Ein", " Hund"]
    assert list(deltas(lines.splitlines())) == ["Ein", " Hund"]


@pytest.mark.parametrize(("answer", "last"), [("Ein Hund.", "."), ("Der Hund", "\nDer Hund")])
def test_the_answer_at_the_end_counts(answer: str, last: str) -> None:
    lines = PIECES + f'event: done\ndata: {{"predictions":[{{"text":"{answer}"}}]}}\n\n'.encode()
    assert list(deltas(lines.splitlines())) == ["Ein", " Hund", last]


def test_an_error_in_the_stream_is_one_of_the_request() -> None:
    with pytest.raises(RefusedError, match="no answer in time"):
        list(deltas([b"event: error", b'data: {"error": "no answer in time"}', b""]))


@given(st.integers(0, 4))
def test_a_stream_that_ends_early_is_no_answer(lines: int) -> None:
    whole = [b'data: {"index":0,"delta":"Ein"}', b"", b'data: {"index":0,"delta":" Hund"}', b"", b"event: done"]
    with pytest.raises(UserError, match="the response is incomplete"):
        list(deltas(whole[:lines]))
