"""The rollout of a version, the same for every back end.

    register ─▶ deploy at 0% ─▶ check ─▶ 10% ─▶ check ─▶ 50% ─▶ check ─▶ 100% ─▶ check ─▶ clean up ─▶ alias champion

A check sends requests to the version itself and compares answers and latency with the limits. Any failure before the
clean-up restores the previous split and undeploys the candidate. The progress is not stored anywhere: an interrupted
rollout is recognized from the endpoint's state, so running it again ends in the same state.

Vertex has no lock, so others may change the endpoint meanwhile. Every split names the shares that it replaces, and is
refused if they are others; versions that someone else deployed meanwhile stay deployed.
"""

import contextlib
import datetime
import logging
import signal
import statistics
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seqline.endpoints.back_end import BEST, CHAMPION, PREVIOUS, BackEnd, ChangedError, Reply, State
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
    back_end: BackEnd,
    version: int,
    steps: list[int],
    checks: Checks,
    becomes_best: bool = False,
    seen: State | None = None,
) -> list[Reply]:
    """Makes a registered version the champion, step by step.

    Args:
        back_end: The endpoint.
        version: The candidate.
        steps: Its shares in percent on the way to 100, rising.
        checks: Requirements at each step.
        becomes_best: Whether it is the best version so far; the first version always is.
        seen: The endpoint's state that the caller has checked; the state now by default.

    Returns:
        Its answers in the last check.

    Raises:
        UserError: If it does not load, fails a check, or someone else changes the traffic or the champion; the
            previous split is restored then.
    """
    state = seen or back_end.state()
    progress = _Progress(back_end, version, state)
    if back_end.most_served == 1:
        steps = []  # from 0 to 100%: its checks without traffic are all there is
    served = any(share for known, share in progress.previous.items() if known != version)
    replies: list[Reply] = []
    with _sigterm_raises(), progress.restoring():
        back_end.add(version)
        if not back_end.needs_share:
            replies = check(back_end, version, checks)
        for share in [*steps, 100] if served else [100]:
            if share < back_end.state().traffic.get(version, 0):
                continue  # an interrupted rollout got further
            progress.split(_with_share(progress.previous, version, share))
            log.info("version %d has %d%% of the traffic", version, share)
            replies = check(back_end, version, checks)
        _require_champion(back_end, state, version)
    try:
        # Before the alias moves: run again after an interruption, it still knows which version was the previous one.
        back_end.remove(_replaced(back_end, state, version))
    finally:
        _promote(back_end, version, state, becomes_best)
    now = back_end.state()
    back_end.forget({version, *now.aliases.values(), *now.traffic})
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
        UserError: If it does not respond, every answer is empty, or it is too slow.
    """
    replies = back_end.ask(version, checks.texts)
    if not any(reply.answer.strip() for reply in replies):
        raise UserError(f"version {version} returned empty texts for all {len(replies)} smoke requests")
    median = statistics.median(reply.milliseconds for reply in replies)
    if checks.max_latency_ms and median > checks.max_latency_ms:
        raise UserError(
            f"version {version} has a median latency of {median:.0f} ms in {len(replies)} smoke requests; "
            f"max_latency_ms allows {checks.max_latency_ms:g}"
        )
    return replies


def roll_back(back_end: BackEnd) -> int:
    """Makes the previous champion the champion again; a second call undoes the first.

    The model that was live is recorded as rolled back, so that no pipeline deploys it again. The alias `champion` moves
    before the traffic and before `previous`: a deployment on its way then stops, and an interruption loses neither.

    Args:
        back_end: The endpoint.

    Returns:
        The version that has all traffic now.

    Raises:
        UserError: If there is no previous champion.
    """
    state = back_end.state()
    target = state.aliases.get(PREVIOUS)
    fingerprints = {known.version: known.fingerprint for known in back_end.versions()}
    marked = {version for version, known in fingerprints.items() if known in state.rolled_back}
    champion = state.champion if state.champion != target else _unfinished(state, marked)
    if target is None or (champion is None and state.champion is not None):
        raise UserError("there is no previous champion, so there is nothing to roll back to")
    if champion in marked and champion == state.champion:
        back_end.mark_rolled_back(fingerprints[champion], "")  # the end of an undoing that was interrupted
        return champion
    if target not in state.traffic:
        back_end.add(target)
    if state.aliases.get(CHAMPION) != target:
        back_end.alias({CHAMPION: target})
    if champion is not None and target not in marked and fingerprints.get(champion):
        back_end.mark_rolled_back(fingerprints[champion], _today())
    back_end.split({target: 100})
    back_end.remove(set(state.shares) - {target, champion})
    if champion is not None:
        back_end.alias({PREVIOUS: champion})
    if target in marked:
        back_end.mark_rolled_back(fingerprints[target], "")
    return target


def _unfinished(state: State, marked: set[int]) -> int | None:
    """The version that an interrupted rollback replaces: it had moved `champion`, and `previous` not yet."""
    champion = state.champion
    others = [version for version in state.traffic if version != champion]
    if champion in marked or state.shares.keys() - {champion} or marked & set(others):
        return max(others, key=lambda version: (version in marked, state.traffic[version]), default=None)
    return None


def _today() -> str:
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


class _Progress:
    """A rollout on its way, which ends in the previous split if it fails."""

    def __init__(self, back_end: BackEnd, version: int, state: State) -> None:
        self.back_end, self.version, self.state = back_end, version, state
        self.previous, self.expected = _previous_split(state, version), state.traffic
        if back_end.most_served and len(State(self.previous).shares) >= back_end.most_served > 1:
            # The candidate takes the place of another one, such as that of a rollout that was killed.
            live = max(self.previous, key=lambda known: (known == state.champion, self.previous[known]))
            self.previous = self.expected = {live: 100}

    def split(self, traffic: dict[int, int]) -> None:
        """Replaces the last split."""
        self.back_end.split(traffic, self.expected)
        self.expected = traffic

    @contextlib.contextmanager
    def restoring(self) -> Iterator[None]:
        """Restores the previous split after any failure, and undeploys the candidate."""
        try:
            yield
        except BaseException as error:
            try:
                self.back_end.prepare()
                outcome = self._restore()
            except Exception as second:
                raise UserError(f"{error}; and the previous split could not be restored: {second}") from error
            log.error("version %d is not deployed; %s", self.version, outcome)
            if isinstance(error, UserError):
                raise UserError(f"{error}; {outcome}") from error
            raise

    def _restore(self) -> str:
        live = max(self.previous, key=lambda known: self.previous[known], default=None)
        stays = f"version {live} remains live" if live is not None else "no version is live"
        outcome = f"the previous split is restored, {stays}"
        if State(self.previous).shares:
            try:
                self.split(self.previous)
            except ChangedError as error:
                outcome = f"the traffic does not change, because {error}"
        known = {self.state.aliases.get(name) for name in (CHAMPION, PREVIOUS)}
        now = self.back_end.state().shares
        # Its own candidate only. One that someone else has given a share, beside other versions, is in use.
        if self.version not in known and (self.version not in now or set(now) == {self.version}):
            self.back_end.remove({self.version})
        return outcome


def _previous_split(state: State, version: int) -> dict[int, int]:
    """The split to restore: the current one, or all traffic to the champion if a rollout was interrupted."""
    champion = state.aliases.get(CHAMPION)
    if champion == version:
        return state.traffic
    others = {known: share for known, share in state.traffic.items() if known != version}
    if state.traffic.get(version) and champion is not None:
        return {**dict.fromkeys(others, 0), champion: 100}
    return others


def _require_champion(back_end: BackEnd, state: State, version: int) -> None:
    """Checks that nobody has moved the alias since the rollout began."""
    before, now = state.aliases.get(CHAMPION), back_end.state().aliases.get(CHAMPION)
    if now not in (before, version):
        raise ChangedError(
            f"someone else made version {now} the champion in the meantime"
            + (f", instead of version {before}" if before is not None else "")
            + f"; version {version} was not compared with it: run the pipeline again"
        )


def _replaced(back_end: BackEnd, state: State, version: int) -> set[int]:
    """The versions whose place the new champion takes; the one before it stays deployed.

    The best version is kept, to be compared with, but a replica that serves nobody would cost money. What was deployed
    without traffic or an alias may be another deployment's candidate, except where this one holds the lock.
    """
    stays = {version, state.champion if state.champion != version else state.aliases.get(PREVIOUS)}
    before = {known for known in state.traffic if back_end.exclusive or known in state.shares}
    return ((before | set(state.aliases.values())) & back_end.state().traffic.keys()) - stays


def _with_share(previous: dict[int, int], version: int, share: int) -> dict[int, int]:
    """The candidate's share; the others keep their proportions."""
    others = {known: before * (100 - share) // 100 for known, before in previous.items() if known != version}
    if others and share < 100:
        largest = max(others, key=lambda known: others[known])
        others[largest] += 100 - share - sum(others.values())
    return {**others, version: share}


def _promote(back_end: BackEnd, version: int, state: State, becomes_best: bool) -> None:
    _require_champion(back_end, state, version)
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


@contextlib.contextmanager
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
