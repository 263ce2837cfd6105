"""The rollout, against an endpoint that can fail or be killed at any call."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.endpoints.back_end import Registered, Reply, State
from seqline.endpoints.rollout import Checks, roll_back, roll_out
from seqline.errors import UserError

CHECKS = Checks(["one", "two"], max_latency_ms=100)


class Killed(BaseException):
    """The process is gone: nothing more runs."""


class Shelf:
    """An endpoint in memory. `calls_left` calls succeed, then every call raises."""

    def __init__(self, needs_share: bool = False, traffic: dict[int, int] | None = None, **aliases: int) -> None:
        self.needs_share = needs_share
        self.traffic, self.aliases = dict(traffic or {}), dict(aliases)
        self.history: list[dict[int, int]] = []
        self.calls_left: float = float("inf")
        self.milliseconds, self.answer = 5.0, "Hallo"
        self.broken_at: int | None = None

    def locked(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def register(self, model: Path, fingerprint: str, metrics: dict[str, float]) -> int:
        raise NotImplementedError

    def versions(self) -> list[Registered]:
        raise NotImplementedError

    def predict(self, texts: list[str], parameters: Any = None) -> list[dict[str, Any]]:
        raise NotImplementedError

    def runs(self) -> bool:
        raise NotImplementedError

    def stop(self) -> bool:
        raise NotImplementedError

    def prepare(self) -> None:
        self._call()

    def state(self) -> State:
        return State(dict(self.traffic), dict(self.aliases))

    def add(self, version: int) -> None:
        self._call()
        self.traffic.setdefault(version, 0 if any(self.traffic.values()) or not self.needs_share else 100)

    def split(self, traffic: dict[int, int]) -> None:
        self._call()
        assert sum(traffic.values()) in (0, 100)
        if traffic != self.traffic:
            self.history.append(traffic)
        self.traffic = dict(traffic)

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        self._call()
        assert self.traffic[version] or not self.needs_share
        if self.broken_at is not None and self.traffic[version] >= self.broken_at:
            raise UserError("it does not answer")
        return [Reply(text, self.answer, self.milliseconds) for text in texts]

    def alias(self, aliases: dict[str, int]) -> None:
        self._call()
        self.aliases |= aliases

    def forget(self, needed: set[int]) -> None:
        self._call()

    def address(self) -> str:
        return "shelf"

    def _call(self) -> None:
        if self.calls_left <= 0:
            raise Killed
        self.calls_left -= 1


def test_the_first_version_takes_all_and_becomes_the_champion() -> None:
    shelf = Shelf()
    roll_out(shelf, 1, [10, 50], CHECKS)
    assert (shelf.traffic, shelf.aliases) == ({1: 100}, {"champion": 1})


def test_a_challenger_is_raised_in_steps_and_the_last_two_stay() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    roll_out(shelf, 3, [10, 50], CHECKS)
    assert [split.get(3, 0) for split in shelf.history] == [10, 50, 100, 100]
    assert shelf.history[0] == {1: 0, 2: 90, 3: 10}
    assert (shelf.traffic, shelf.aliases) == ({2: 0, 3: 100}, {"champion": 3, "previous": 2})


@pytest.mark.parametrize("broken_at", [0, 10, 50, 100])
def test_a_failure_at_any_step_restores_the_previous_split_and_says_so(broken_at: int) -> None:
    previous = {1: 0, 2: 100}
    shelf = Shelf(traffic=previous, champion=2, previous=1)
    shelf.broken_at = broken_at
    with pytest.raises(UserError, match="it does not answer; the previous split is restored, version 2 stays live"):
        roll_out(shelf, 3, [10, 50], CHECKS)
    assert (shelf.traffic, shelf.aliases) == (previous, {"champion": 2, "previous": 1})


def test_after_a_failed_first_version_nothing_is_served() -> None:
    shelf = Shelf()
    shelf.broken_at = 100
    with pytest.raises(UserError, match="no version is live"):
        roll_out(shelf, 1, [], CHECKS)
    assert (shelf.traffic, shelf.aliases) == ({}, {})


def test_a_slow_or_silent_version_is_refused() -> None:
    slow, silent = Shelf(traffic={1: 100}, champion=1), Shelf(traffic={1: 100}, champion=1)
    slow.milliseconds = 101
    with pytest.raises(UserError, match=r"version 2 has a median latency of 101 ms .* max_latency_ms allows 100"):
        roll_out(slow, 2, [10], CHECKS)
    silent.answer = " "
    with pytest.raises(UserError, match="version 2 answers 2 smoke requests with empty texts"):
        roll_out(silent, 2, [10], CHECKS)
    assert slow.traffic == silent.traffic == {1: 100}


@given(calls=st.lists(st.integers(0, 16), max_size=4), needs_share=st.booleans(), served=st.booleans())
def test_killed_anywhere_and_run_again_it_ends_in_the_same_state(
    calls: list[int], needs_share: bool, served: bool
) -> None:
    shelf = Shelf(needs_share, {1: 0, 2: 100}, champion=2, previous=1) if served else Shelf(needs_share)
    for calls_left in calls:
        shelf.calls_left = calls_left
        with contextlib.suppress(Killed, UserError):
            roll_out(shelf, 3, [10, 50], CHECKS)
    shelf.calls_left = float("inf")
    roll_out(shelf, 3, [10, 50], CHECKS)
    assert shelf.aliases == ({"champion": 3, "previous": 2} if served else {"champion": 3})
    assert shelf.traffic == ({2: 0, 3: 100} if served else {3: 100})


def test_an_interrupted_deployment_that_then_fails_goes_back_to_the_champion() -> None:
    shelf = Shelf(traffic={1: 0, 2: 50, 3: 50}, champion=2, previous=1)
    shelf.broken_at = 50
    with pytest.raises(UserError, match="version 2 stays live"):
        roll_out(shelf, 3, [10, 50], CHECKS)
    assert shelf.traffic == {1: 0, 2: 100}


def test_deploying_the_champion_again_changes_nothing() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    roll_out(shelf, 2, [10, 50], CHECKS)
    assert shelf.history == []
    assert shelf.aliases == {"champion": 2, "previous": 1}


def test_rolling_back_exchanges_the_last_two() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    assert roll_back(shelf) == 1
    assert (shelf.traffic, shelf.aliases) == ({1: 100, 2: 0}, {"champion": 1, "previous": 2})
    assert roll_back(shelf) == 2
    assert (shelf.traffic, shelf.aliases) == ({1: 0, 2: 100}, {"champion": 2, "previous": 1})


def test_there_may_be_nothing_to_roll_back_to() -> None:
    with pytest.raises(UserError, match="nothing to roll back to"):
        roll_back(Shelf(traffic={1: 100}, champion=1))


def test_sigterm_restores_the_previous_split(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    shelf = Shelf(traffic={1: 100}, champion=1)

    def ask(version: int, texts: list[str]) -> Any:
        if shelf.traffic[version] == 50:
            os.kill(os.getpid(), signal.SIGTERM)
        return [Reply("one", "eins", 1.0)]

    monkeypatch.setattr(shelf, "ask", ask)
    with pytest.raises(SystemExit):
        roll_out(shelf, 2, [10, 50], CHECKS)
    assert shelf.traffic == {1: 100}


@pytest.fixture(autouse=True)
def _default_sigterm() -> Iterator[None]:
    yield
    import signal

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
