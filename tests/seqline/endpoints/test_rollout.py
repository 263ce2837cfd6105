"""The rollout, against an endpoint that can fail or be killed at any call."""

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.endpoints.back_end import Registered, Reply, State, require_unchanged
from seqline.endpoints.rollout import Checks, roll_back, roll_out
from seqline.errors import UserError

CHECKS = Checks(["one", "two"], max_latency_ms=100)


class Killed(BaseException):
    """The process is gone: nothing more runs."""


class Shelf:
    """An endpoint in memory. `calls_left` calls succeed, then every call raises.

    It answers in `milliseconds`, and with `answers`, one for each text; it runs until a test ends it. The fingerprint
    of a version is its number with an "f" before it.
    """

    exclusive = False
    most_served: int | None = None

    def __init__(self, needs_share: bool = False, traffic: dict[int, int] | None = None, **aliases: int) -> None:
        self.needs_share = needs_share
        self.traffic, self.aliases = dict(traffic or {}), dict(aliases)
        self.rolled_back: dict[str, str] = {}
        self.history: list[dict[int, int]] = []
        self.calls_left: float = float("inf")
        self.milliseconds, self.answers = [5.0, 5.0], ["eins", "zwei"]
        self.broken_at: int | None = None
        self.up = True
        self.needed: set[int] | None = None

    def locked(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def register(self, model: Path, fingerprint: str, metrics: dict[str, float]) -> int:
        raise NotImplementedError

    def versions(self) -> list[Registered]:
        numbers = {*self.traffic, *self.aliases.values()}
        return [Registered(number, f"f{number}", "", "", "") for number in sorted(numbers)]

    def predict(self, texts: list[str], parameters: Any = None) -> list[dict[str, Any]]:
        raise NotImplementedError

    def runs(self) -> bool:
        raise NotImplementedError

    def stop(self) -> bool:
        raise NotImplementedError

    def prepare(self) -> None:
        self.up = True
        self._call()

    def state(self) -> State:
        return State(dict(self.traffic), dict(self.aliases), dict(self.rolled_back))

    def add(self, version: int) -> None:
        self._call()
        self.traffic.setdefault(version, 0 if any(self.traffic.values()) or not self.needs_share else 100)

    def split(self, traffic: Mapping[int, int], replaces: Mapping[int, int] | None = None) -> None:
        self._call()
        require_unchanged("shelf", self.state(), traffic, replaces)
        assert sum(traffic.values()) == 100
        assert all(0 <= share <= 100 for share in traffic.values())
        assert traffic.keys() <= self.traffic.keys(), "a version gets a share before it is deployed"
        after = {version: traffic.get(version, 0) for version in self.traffic}
        if after != self.traffic:
            self.history.append(after)
        self.traffic = after

    def remove(self, versions: Collection[int]) -> None:
        if not versions:
            return
        self._call()
        left = {version: share for version, share in self.traffic.items() if version not in versions}
        assert sum(left.values()) in (0, 100), "a version with traffic is undeployed"
        self.traffic = left

    def mark_rolled_back(self, fingerprint: str, date: str) -> None:
        self._call()
        self.rolled_back.pop(fingerprint, None)
        if date:
            self.rolled_back[fingerprint] = date

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        self._call()
        assert self.traffic[version] or not self.needs_share
        if self.broken_at is not None and self.traffic[version] >= self.broken_at:
            raise UserError("it does not respond")
        return [Reply(*reply) for reply in zip(texts, self.answers, self.milliseconds, strict=True)]

    def alias(self, aliases: dict[str, int]) -> None:
        self._call()
        self.aliases |= aliases

    def forget(self, needed: set[int]) -> None:
        self._call()
        self.needed = needed

    def address(self) -> str:
        return "shelf"

    def _call(self) -> None:
        if self.calls_left <= 0:
            raise Killed
        self.calls_left -= 1
        if not self.up:
            raise UserError("the server does not run")


def test_the_first_version_takes_all_and_becomes_the_champion() -> None:
    shelf = Shelf()
    roll_out(shelf, 1, [10, 50], CHECKS)
    assert (shelf.traffic, shelf.aliases) == ({1: 100}, {"champion": 1, "best": 1})


def test_a_challenger_is_raised_in_steps_and_the_last_two_stay() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    roll_out(shelf, 3, [10, 50], CHECKS)
    assert [split.get(3, 0) for split in shelf.history] == [10, 50, 100]
    assert shelf.history[0] == {1: 0, 2: 90, 3: 10}
    assert (shelf.traffic, shelf.aliases) == ({2: 0, 3: 100}, {"champion": 3, "previous": 2, "best": 2})


@pytest.mark.parametrize(
    ("aliases", "becomes_best", "best"),
    [
        ({"champion": 2, "best": 1}, False, 1),
        ({"champion": 2, "best": 1}, True, 3),
        ({"champion": 2}, False, 2),  # an endpoint of before the alias: its champion is the best
        ({"champion": 2}, True, 3),
        ({}, False, 2),
    ],
)
def test_the_best_version_moves_only_when_the_decision_says_so(
    aliases: dict[str, int], becomes_best: bool, best: int
) -> None:
    shelf = Shelf(traffic={2: 100}, **aliases)
    roll_out(shelf, 3, [10], CHECKS, becomes_best)
    assert shelf.aliases == {"champion": 3, "previous": 2, "best": best}


def test_the_best_version_is_kept_without_a_replica() -> None:
    shelf = Shelf(traffic={1: 0, 2: 0, 3: 100}, champion=3, previous=2, best=1)
    roll_out(shelf, 4, [10], CHECKS)
    assert shelf.needed == {1, 3, 4}
    assert shelf.traffic == {3: 0, 4: 100}


def test_rolling_back_leaves_the_best_version() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1, best=2)
    roll_back(shelf)
    assert shelf.aliases == {"champion": 1, "previous": 2, "best": 2}


@pytest.mark.parametrize("broken_at", [0, 10, 50, 100])
def test_a_failure_at_any_step_restores_the_previous_split_and_says_so(broken_at: int) -> None:
    previous = {1: 0, 2: 100}
    shelf = Shelf(traffic=previous, champion=2, previous=1)
    shelf.broken_at = broken_at
    with pytest.raises(UserError, match="it does not respond; the previous split is restored, version 2 remains live"):
        roll_out(shelf, 3, [10, 50], CHECKS)
    assert (shelf.traffic, shelf.aliases) == (previous, {"champion": 2, "previous": 1})


def test_after_a_failed_first_version_nothing_is_served() -> None:
    shelf = Shelf()
    shelf.broken_at = 100
    with pytest.raises(UserError, match="no version is live"):
        roll_out(shelf, 1, [], CHECKS)
    assert (shelf.traffic, shelf.aliases) == ({}, {})


@pytest.mark.parametrize(
    ("milliseconds", "allowed"),
    [
        ([100.0, 100.0, 100.0], True),
        ([1.0, 100.0, 9000.0], True),  # one slow answer is no slow version
        ([1.0, 101.0, 9000.0], False),
        ([101.0, 101.0, 1.0], False),
    ],
)
def test_the_median_latency_may_be_at_most_the_limit(milliseconds: list[float], allowed: bool) -> None:
    shelf = Shelf(traffic={1: 100}, champion=1)
    shelf.milliseconds, shelf.answers = milliseconds, ["a", "b", "c"]
    checks = Checks(["one", "two", "three"], max_latency_ms=100)
    if allowed:
        replies = roll_out(shelf, 2, [10], checks)
        assert [reply.milliseconds for reply in replies] == milliseconds
    else:
        message = (
            r"version 2 has a median latency of 101 ms in 3 smoke requests; max_latency_ms allows 100; "
            "the previous split is restored, version 1 remains live"
        )
        with pytest.raises(UserError, match=message):
            roll_out(shelf, 2, [10], checks)
        assert shelf.traffic == {1: 100}


def test_without_a_limit_any_latency_is_accepted() -> None:
    shelf = Shelf()
    shelf.milliseconds = [9e6, 9e6]
    roll_out(shelf, 1, [], Checks(["one", "two"], max_latency_ms=0))
    assert shelf.traffic == {1: 100}


@pytest.mark.parametrize("answers", [[" ", "\n"], ["", ""]])
def test_a_version_with_empty_answers_only_is_refused(answers: list[str]) -> None:
    shelf = Shelf(traffic={1: 100}, champion=1)
    shelf.answers = answers
    with pytest.raises(UserError, match="version 2 returned empty texts for all 2 smoke requests"):
        roll_out(shelf, 2, [10], CHECKS)
    assert shelf.traffic == {1: 100}


def test_a_version_may_answer_some_texts_with_nothing() -> None:
    shelf = Shelf(traffic={1: 100}, champion=1)
    shelf.answers = ["", "zwei"]
    assert [reply.answer for reply in roll_out(shelf, 2, [10], CHECKS)] == ["", "zwei"]


def test_the_split_is_restored_also_if_the_server_has_ended() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)

    def ask(version: int, texts: list[str]) -> list[Reply]:
        shelf.up = shelf.traffic[version] < 50
        shelf._call()
        return [Reply(text, "eins", 1.0) for text in texts]

    shelf.ask = ask  # type: ignore[method-assign]
    with pytest.raises(UserError, match="does not run; the previous split is restored, version 2 remains live"):
        roll_out(shelf, 3, [10, 50], CHECKS)
    assert shelf.up
    assert shelf.traffic == {1: 0, 2: 100}


def test_an_error_while_the_split_is_restored_is_reported_with_the_first_one() -> None:
    shelf = Shelf(traffic={1: 100}, champion=1)

    def prepare() -> None:
        raise UserError("the port is in use")

    shelf.broken_at, shelf.prepare = 10, prepare  # type: ignore[method-assign]
    message = "it does not respond; and the previous split could not be restored: the port is in use"
    with pytest.raises(UserError, match=message):
        roll_out(shelf, 2, [10], CHECKS)


@pytest.mark.parametrize(("exclusive", "stays"), [(True, {3: 0, 4: 100}), (False, {1: 0, 3: 0, 4: 100})])
def test_versions_that_are_replaced_are_undeployed_and_without_a_lock_no_other_candidate(
    exclusive: bool, stays: dict[int, int]
) -> None:
    shelf = Shelf(traffic={1: 0, 2: 20, 3: 80}, champion=3, previous=2)
    shelf.exclusive = exclusive
    roll_out(shelf, 4, [10], CHECKS)
    assert shelf.needed == stays.keys()
    assert shelf.traffic == stays


def meanwhile(shelf: Shelf, change: Callable[[], None], at: int = 10) -> None:
    """Someone else changes the shelf while the candidate has a share."""
    ask = shelf.ask

    def ask_and_change(version: int, texts: list[str]) -> list[Reply]:
        if shelf.traffic[version] == at:
            change()
        return ask(version, texts)

    shelf.ask = ask_and_change  # type: ignore[method-assign]


@pytest.mark.parametrize("fails", [True, False])
def test_a_version_that_somebody_else_deployed_meanwhile_stays(fails: bool) -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    meanwhile(shelf, lambda: shelf.traffic.update({9: 0}))
    if fails:
        shelf.broken_at = 50
        with pytest.raises(UserError, match="version 2 remains live"):
            roll_out(shelf, 3, [10, 50], CHECKS)
        assert shelf.traffic == {1: 0, 2: 100, 9: 0}
    else:
        roll_out(shelf, 3, [10, 50], CHECKS)
        assert shelf.traffic == {2: 0, 3: 100, 9: 0}
        assert 9 in (shelf.needed or ())


def test_a_split_that_somebody_else_changed_meanwhile_is_left_as_it_is() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    meanwhile(shelf, lambda: shelf.traffic.update({1: 100, 2: 0, 3: 0}))
    message = (
        "someone else changed the traffic of shelf in the meantime, from 2:90% 3:10% to 1:100%; the traffic does not "
        "change, because someone else"
    )
    with pytest.raises(UserError, match=message):
        roll_out(shelf, 3, [10, 50], CHECKS)
    assert shelf.traffic == {1: 100, 2: 0}
    assert shelf.aliases == {"champion": 2, "previous": 1}


def test_a_candidate_that_somebody_else_gave_a_share_is_not_undeployed() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    meanwhile(shelf, lambda: shelf.traffic.update({1: 40, 2: 0, 3: 60}))
    with pytest.raises(UserError, match="someone else changed the traffic"):
        roll_out(shelf, 3, [10, 50], CHECKS)
    assert shelf.traffic == {1: 40, 2: 0, 3: 60}


def test_a_champion_that_somebody_else_made_meanwhile_stays_the_champion() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    meanwhile(shelf, lambda: shelf.aliases.update(champion=1), at=100)
    message = (
        "someone else made version 1 the champion in the meantime, instead of version 2; version 3 was not "
        "compared with it: run the pipeline again; the previous split is restored, version 2 remains live"
    )
    with pytest.raises(UserError, match=message):
        roll_out(shelf, 3, [10, 50], CHECKS)
    assert shelf.traffic == {1: 0, 2: 100}
    assert shelf.aliases == {"champion": 1, "previous": 1}


def test_the_previous_version_that_fails_as_a_candidate_stays_deployed() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    shelf.broken_at = 10
    with pytest.raises(UserError, match="version 2 remains live"):
        roll_out(shelf, 1, [10, 50], CHECKS)
    assert shelf.traffic == {1: 0, 2: 100}


def test_a_version_that_fails_forgets_nothing() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    shelf.broken_at = 100
    with pytest.raises(UserError):
        roll_out(shelf, 3, [10], CHECKS)
    assert shelf.needed is None


@given(
    others=st.dictionaries(st.integers(1, 9), st.integers(0, 100), min_size=1).filter(
        lambda split: any(split.values())
    ),
    steps=st.lists(st.integers(1, 99), unique=True, max_size=4).map(sorted),
)
def test_at_each_step_the_shares_sum_to_100_and_the_others_keep_their_proportions(
    others: dict[int, int], steps: list[int]
) -> None:
    total = sum(others.values())
    previous = {version: share * 100 // total for version, share in others.items()}
    previous[max(previous, key=lambda version: previous[version])] += 100 - sum(previous.values())
    shelf = Shelf(traffic=previous)
    roll_out(shelf, 10, steps, CHECKS)
    for split, share in zip(shelf.history, [*steps, 100], strict=False):
        assert split[10] == share
        assert sum(split.values()) == 100
        for version, before in previous.items():
            assert split[version] == pytest.approx(before * (100 - share) / 100, abs=len(previous))


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        ({1: 33, 2: 33, 3: 34}, {1: 29, 2: 29, 3: 32, 4: 10}),  # what is rounded off goes to the largest share
        ({1: 30, 2: 30}, {1: 63, 2: 27, 4: 10}),  # shares that someone wrote, of a sum below 100
    ],
)
def test_the_shares_of_a_step_sum_to_100_whatever_they_were(previous: dict[int, int], expected: dict[int, int]) -> None:
    shelf = Shelf(traffic=previous)
    roll_out(shelf, 4, [10], CHECKS)
    assert shelf.history[0] == expected


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
    assert shelf.aliases == ({"champion": 3, "previous": 2, "best": 2} if served else {"champion": 3, "best": 3})
    assert shelf.traffic == ({2: 0, 3: 100} if served else {3: 100})


def test_an_interrupted_deployment_that_then_fails_goes_back_to_the_champion() -> None:
    shelf = Shelf(traffic={1: 0, 2: 50, 3: 50}, champion=2, previous=1)
    shelf.broken_at = 50
    with pytest.raises(UserError, match="version 2 remains live"):
        roll_out(shelf, 3, [10, 50], CHECKS)
    assert shelf.traffic == {1: 0, 2: 100}


def test_deploying_the_champion_again_changes_nothing() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1, best=1)
    roll_out(shelf, 2, [10, 50], CHECKS)
    assert shelf.history == []
    assert shelf.aliases == {"champion": 2, "previous": 1, "best": 1}


def test_rolling_back_exchanges_the_last_two() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    assert roll_back(shelf) == 1
    assert (shelf.traffic, shelf.aliases) == ({1: 100, 2: 0}, {"champion": 1, "previous": 2})
    assert roll_back(shelf) == 2
    assert (shelf.traffic, shelf.aliases) == ({1: 0, 2: 100}, {"champion": 2, "previous": 1})


def test_rolling_back_moves_the_champion_before_the_traffic_and_the_other_alias() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    seen = []
    call = shelf._call

    def record() -> None:
        seen.append((dict(shelf.aliases), shelf.traffic[1]))
        call()

    shelf._call = record  # type: ignore[method-assign]
    roll_back(shelf)
    changed = [state for state in seen if state != ({"champion": 2, "previous": 1}, 0)]
    assert changed[0] == ({"champion": 1, "previous": 1}, 0)
    assert changed[-1] == ({"champion": 1, "previous": 1}, 100)


def test_a_model_that_was_rolled_back_is_remembered_until_that_is_undone() -> None:
    shelf = Shelf(traffic={1: 0, 2: 100}, champion=2, previous=1)
    roll_back(shelf)
    assert shelf.rolled_back.keys() == {"f2"}
    assert shelf.state().when_rolled_back("f2")
    roll_back(shelf)
    assert shelf.rolled_back == {}


@given(calls=st.lists(st.integers(0, 6), max_size=4), deployed=st.booleans(), undo=st.booleans())
def test_a_rollback_killed_anywhere_and_run_again_ends_in_the_same_state(
    calls: list[int], deployed: bool, undo: bool
) -> None:
    shelf = Shelf(traffic={1: 0, 2: 100} if deployed else {2: 100}, champion=2, previous=1)
    champion, previous = 1, 2
    if undo:
        roll_back(shelf)
        champion, previous = 2, 1
    for calls_left in calls:
        shelf.calls_left = calls_left
        try:
            roll_back(shelf)
            break
        except Killed:
            pass
    else:
        shelf.calls_left = float("inf")
        roll_back(shelf)
    assert shelf.aliases == {"champion": champion, "previous": previous}
    assert shelf.traffic == {champion: 100, previous: 0}
    assert shelf.rolled_back.keys() == (set() if undo else {"f2"})


def test_rolling_back_deploys_the_previous_version_first_if_it_is_only_registered() -> None:
    shelf = Shelf(traffic={2: 100}, champion=2, previous=1)
    assert roll_back(shelf) == 1
    assert (shelf.traffic, shelf.aliases) == ({1: 100, 2: 0}, {"champion": 1, "previous": 2})


def test_rolling_back_undeploys_other_versions() -> None:
    shelf = Shelf(traffic={1: 0, 2: 60, 3: 40}, champion=2, previous=1)
    assert roll_back(shelf) == 1
    assert shelf.traffic == {1: 100, 2: 0}


def test_rolling_back_an_endpoint_that_serves_nothing_deploys_the_previous_version() -> None:
    shelf = Shelf(traffic={}, previous=1)
    assert roll_back(shelf) == 1
    assert (shelf.traffic, shelf.aliases) == ({1: 100}, {"champion": 1, "previous": 1})


@pytest.mark.parametrize("aliases", [{"champion": 1}, {"champion": 1, "previous": 1}])
def test_there_may_be_nothing_to_roll_back_to(aliases: dict[str, int]) -> None:
    shelf = Shelf(traffic={1: 100}, **aliases)
    with pytest.raises(UserError, match="nothing to roll back to"):
        roll_back(shelf)
    assert shelf.history == []


def test_sigterm_restores_the_previous_split(monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
