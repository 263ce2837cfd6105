"""Retries: what may be done twice, and what must be created once."""

import contextlib
from collections.abc import Iterator

import pytest

from seqline.errors import UserError
from seqline.vertex_api.retries import Retries


class LostError(Exception):
    """The response was lost."""


class ExistsError(Exception):
    """The resource exists already."""


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    try:
        yield
    except (LostError, ValueError) as error:
        raise UserError(f"cannot {what}: {error}") from None


def retries(slept: list[float] | None = None) -> Retries:
    return Retries(
        (1.0, 2.0),
        explained,
        lambda error: isinstance(error, LostError),
        lambda error: isinstance(error, ExistsError),
        (slept if slept is not None else []).append,
    )


def test_a_read_is_repeated_with_pauses_until_it_succeeds() -> None:
    slept: list[float] = []
    errors = [LostError("1"), LostError("2")]

    def call() -> str:
        if errors:
            raise errors.pop()
        return "answer"

    assert retries(slept).read("list the runs", call) == "answer"
    assert slept == [1.0, 2.0]


def test_other_errors_are_not_retried_and_the_last_one_is_explained() -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise ValueError("bad") if len(calls) == 1 else LostError("away")

    with pytest.raises(UserError, match="cannot list the runs: bad"):
        retries().read("list the runs", call)
    assert len(calls) == 1
    with pytest.raises(UserError, match="cannot list the runs: away"):
        retries().read("list the runs", call)
    assert len(calls) == 4


def test_after_a_lost_response_the_resource_is_found_and_not_created_again() -> None:
    created: list[str] = []

    def create() -> str:
        created.append("schedule")
        raise LostError("no response")

    assert retries().write("create it", lambda: next(iter(created), None), create) == "schedule"
    assert created == ["schedule"]


def test_an_existing_resource_that_is_another_one_is_an_error() -> None:
    def create() -> str:
        raise ExistsError

    with pytest.raises(UserError, match="cannot create it: another one of that name exists"):
        retries().write("create it", lambda: None, create)
