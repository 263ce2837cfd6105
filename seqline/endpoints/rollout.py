"""The rollout of a version, the same for every back end.

    register ─▶ deploy at 0% ─▶ check ─▶ 10% ─▶ check ─▶ 50% ─▶ check ─▶ 100% ─▶ check ─▶ alias champion ─▶ clean up

A check sends requests to the version itself and compares answers and latency with the limits. Any failure before the
alias has moved restores the previous split. The progress is not stored anywhere: an interrupted rollout is recognized
from the endpoint's state, so running it again ends in the same state.
"""

import logging
import signal
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from seqline.endpoints.back_end import BEST, CHAMPION, PREVIOUS, BackEnd, Reply, State
from seqline.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checks:
    """Requirements on a version before its share is raised.

    Attributes:
        texts: Requests sent to it at every step, one text each.
        max_latency_ms: Highest median latency; 0 for no limit.
    """

    texts: list[str]
    max_latency_ms: float


def roll_out(
    back_end: BackEnd, version: int, steps: list[int], checks: Checks, becomes_best: bool = False
) -> list[Reply]:
    """Makes a registered version the champion, step by step.

    Args:
        back_end: The endpoint.
        version: The candidate.
        steps: Its shares in percent on the way to 100, rising.
        checks: Requirements at each step.
        becomes_best: Whether it is the best version so far; the first version always is.

    Returns:
        Its answers in the last check.

    Raises:
        UserError: If it does not load, or fails a check; the previous split is restored then.
    """
    state = back_end.state()
    previous = _previous_split(state, version)
    served = any(share for known, share in previous.items() if known != version)
    replies: list[Reply] = []
    with _sigterm_raises(), _restoring(back_end, previous, version):
        back_end.add(version)
        if not back_end.needs_share:
            replies = check(back_end, version, checks)
        for share in [*steps, 100] if served else [100]:
            if share < back_end.state().traffic.get(version, 0):
                continue  # an interrupted rollout got further
            back_end.split(_with_share(previous, version, share))
            log.info("version %d has %d%% of the traffic", version, share)
            replies = check(back_end, version, checks)
    _promote(back_end, version, state, becomes_best)
    aliases = back_end.state().aliases
    # The best version is kept, to be compared with, but a replica that serves nobody would cost money.
    deployed = {aliases[name] for name in (CHAMPION, PREVIOUS) if name in aliases} & back_end.state().traffic.keys()
    back_end.split({**dict.fromkeys(sorted(deployed), 0), version: 100})
    back_end.forget({version, *aliases.values()})
    return replies


def check(back_end: BackEnd, version: int, checks: Checks) -> list[Reply]:
    """Sends requests to a version itself.

    Args:
        back_end: The endpoint.
        version: The version.
        checks: The requests, and the limit of the latency.

    Returns:
        Its answers.

    Raises:
        UserError: If it does not answer, every answer is empty, or it is too slow.
    """
    replies = back_end.ask(version, checks.texts)
    if not any(reply.answer.strip() for reply in replies):
        raise UserError(f"version {version} answers {len(replies)} smoke requests with empty texts")
    median = statistics.median(reply.milliseconds for reply in replies)
    if checks.max_latency_ms and median > checks.max_latency_ms:
        raise UserError(
            f"version {version} has a median latency of {median:.0f} ms in {len(replies)} smoke requests; "
            f"max_latency_ms allows {checks.max_latency_ms:g}"
        )
    return replies


def roll_back(back_end: BackEnd) -> int:
    """Makes the previous champion the champion again; a second call undoes the first.

    Args:
        back_end: The endpoint.

    Returns:
        The version that has all traffic now.

    Raises:
        UserError: If there is no previous champion.
    """
    state = back_end.state()
    champion, previous = state.champion, state.aliases.get(PREVIOUS)
    if previous is None or previous == champion:
        raise UserError("there is no previous champion, so there is nothing to roll back to")
    if previous not in state.traffic:
        back_end.add(previous)
    others = {} if champion is None else {champion: 0}
    back_end.split({**others, previous: 100})
    back_end.alias({CHAMPION: previous} if champion is None else {PREVIOUS: champion, CHAMPION: previous})
    return previous


def _previous_split(state: State, version: int) -> dict[int, int]:
    """The split to restore: the current one, or all traffic to the champion if a rollout was interrupted."""
    champion = state.aliases.get(CHAMPION)
    if champion == version:
        return state.traffic
    others = {known: share for known, share in state.traffic.items() if known != version}
    if state.traffic.get(version) and champion is not None:
        return {**dict.fromkeys(others, 0), champion: 100}
    return others


def _with_share(previous: dict[int, int], version: int, share: int) -> dict[int, int]:
    """The candidate's share; the others keep their proportions."""
    others = {known: before * (100 - share) // 100 for known, before in previous.items() if known != version}
    if others and share < 100:
        largest = max(others, key=lambda known: others[known])
        others[largest] += 100 - share - sum(others.values())
    return {**others, version: share}


def _promote(back_end: BackEnd, version: int, state: State, becomes_best: bool) -> None:
    champion = state.champion
    moved: dict[str, int] = {}
    if becomes_best or champion is None:
        moved[BEST] = version
    elif BEST not in state.aliases:
        moved[BEST] = champion  # an endpoint from before this alias: its champion stays the best
    if state.aliases.get(CHAMPION) != version:
        moved |= {CHAMPION: version} if champion in (None, version) else {PREVIOUS: champion, CHAMPION: version}
    if any(state.aliases.get(name) != number for name, number in moved.items()):
        back_end.alias(moved)


@contextmanager
def _restoring(back_end: BackEnd, previous: dict[int, int], version: int) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        live = max(previous, key=lambda known: previous[known], default=None)
        stays = f"version {live} stays live" if live is not None else "no version is live"
        try:
            back_end.prepare()
            back_end.split(previous)
        except Exception as second:
            raise UserError(f"{error}; and the previous split could not be restored: {second}") from error
        log.error("version %d is not deployed; the previous split is restored: %s", version, stays)
        if isinstance(error, UserError):
            raise UserError(f"{error}; the previous split is restored, {stays}") from error
        raise


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Makes SIGTERM, which orchestrators send to stop a stage, restore the previous split."""
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
