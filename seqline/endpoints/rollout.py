"""The decision path of a deployment, the same for every back end.

    register ─▶ deploy at 0% ─▶ check ─▶ 10% ─▶ check ─▶ 50% ─▶ check ─▶ 100% ─▶ check ─▶ alias champion ─▶ tidy up

A check sends the version itself requests and holds the answers and the time they took against the limits. Whatever
goes wrong before the alias has moved restores the former split. Nothing is noted down on the way: where an interrupted
deployment was is read off the endpoint, so that running it again ends in the same state.
"""

import logging
import signal
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from seqline.endpoints.back_end import CHAMPION, PREVIOUS, BackEnd, Reply, State
from seqline.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checks:
    """What a version has to do before its share is raised.

    Attributes:
        texts: Requests that it is sent at every step, one text each.
        max_latency_ms: Longest median time of an answer; 0 for no limit.
    """

    texts: list[str]
    max_latency_ms: float


def roll_out(back_end: BackEnd, version: int, steps: list[int], checks: Checks) -> list[Reply]:
    """Makes a registered version the champion, step by step.

    Args:
        back_end: The endpoint.
        version: The candidate.
        steps: Its shares in percent on the way to 100, rising.
        checks: What it has to do at each step.

    Returns:
        Its answers in the last check.

    Raises:
        UserError: If it does not load, or fails a check; the former split is back.
    """
    state = back_end.state()
    former = _former(state, version)
    served = any(share for known, share in former.items() if known != version)
    replies: list[Reply] = []
    with _sigterm_raises(), _restoring(back_end, former, version):
        back_end.add(version)
        if not back_end.needs_share:
            replies = check(back_end, version, checks)
        for share in [*steps, 100] if served else [100]:
            if share < back_end.state().traffic.get(version, 0):
                continue  # an interrupted deployment had come further
            back_end.split(_with_share(former, version, share))
            log.info("version %d has %d%% of the traffic", version, share)
            replies = check(back_end, version, checks)
    _promote(back_end, version, state)
    kept = {version, *back_end.state().aliases.values()}
    back_end.split({**dict.fromkeys(sorted(kept & back_end.state().traffic.keys()), 0), version: 100})
    back_end.forget(kept)
    return replies


def check(back_end: BackEnd, version: int, checks: Checks) -> list[Reply]:
    """Asks a version itself.

    Args:
        back_end: The endpoint.
        version: The version.
        checks: What to ask, and the limit of the time.

    Returns:
        Its answers.

    Raises:
        UserError: If it does not answer, answers nothing at all, or too slowly.
    """
    replies = back_end.ask(version, checks.texts)
    if not any(reply.answer.strip() for reply in replies):
        raise UserError(f"version {version} answers {len(replies)} smoke requests with nothing")
    median = statistics.median(reply.milliseconds for reply in replies)
    if checks.max_latency_ms and median > checks.max_latency_ms:
        raise UserError(
            f"version {version} takes {median:.0f} ms to answer, the median of {len(replies)} smoke requests; "
            f"max_latency_ms allows {checks.max_latency_ms:g}"
        )
    return replies


def roll_back(back_end: BackEnd) -> int:
    """Makes the version before the champion the champion again; doing it twice undoes it.

    Args:
        back_end: The endpoint.

    Returns:
        The version that has all traffic now.

    Raises:
        UserError: If there is no version before it.
    """
    state = back_end.state()
    champion, previous = state.champion, state.aliases.get(PREVIOUS)
    if previous is None or previous == champion:
        raise UserError("there is no version before the champion, so there is nothing to roll back to")
    if previous not in state.traffic:
        back_end.add(previous)
    others = {} if champion is None else {champion: 0}
    back_end.split({**others, previous: 100})
    back_end.alias({CHAMPION: previous} if champion is None else {PREVIOUS: champion, CHAMPION: previous})
    return previous


def _former(state: State, version: int) -> dict[int, int]:
    """The split to restore: that of now, or, with the candidate amid an interrupted deployment, all to the champion."""
    champion = state.aliases.get(CHAMPION)
    if champion == version:
        return state.traffic
    others = {known: share for known, share in state.traffic.items() if known != version}
    if state.traffic.get(version) and champion is not None:
        return {**dict.fromkeys(others, 0), champion: 100}
    return others


def _with_share(former: dict[int, int], version: int, share: int) -> dict[int, int]:
    """The candidate's share; the others keep their proportions."""
    others = {known: before * (100 - share) // 100 for known, before in former.items() if known != version}
    if others and share < 100:
        largest = max(others, key=lambda known: others[known])
        others[largest] += 100 - share - sum(others.values())
    return {**others, version: share}


def _promote(back_end: BackEnd, version: int, state: State) -> None:
    champion = state.champion
    if state.aliases.get(CHAMPION) == version:
        return
    before = {} if champion is None or champion == version else {PREVIOUS: champion}
    back_end.alias({**before, CHAMPION: version})


@contextmanager
def _restoring(back_end: BackEnd, former: dict[int, int], version: int) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        live = max(former, key=lambda known: former[known], default=None)
        stays = f"version {live} stays live" if live is not None else "no version is live"
        try:
            back_end.prepare()
            back_end.split(former)
        except Exception as second:
            raise UserError(f"{error}; and the former split could not be restored: {second}") from error
        log.error("version %d is not deployed; the former split is restored: %s", version, stays)
        if isinstance(error, UserError):
            raise UserError(f"{error}; the former split is restored, {stays}") from error
        raise


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """An orchestrator that stops the stage sends SIGTERM: the former split is to be restored then, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
