"""Following the desired versions and choosing one, with workers in memory and a clock that the test moves."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.errors import UserError
from seqline.serving import versions as module
from seqline.serving.answers import Answer
from seqline.serving.batching import Batcher
from seqline.serving.engine import Device, EngineGoneError, ModelFailedError
from seqline.serving.limits import Limits
from seqline.serving.sources import Desired
from seqline.serving.versions import Loaded, Versions
from tests.seqline.serving.manual_loop import advance, clock, run


class Worker:
    """A worker in memory: what it does depends on `state`, ok, failing or hanging; `crash` ends it."""

    def __init__(self) -> None:
        self.state = "ok"
        self.asked: list[str] = []
        self.lost, self.stopped = False, False
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.free = asyncio.Event()

    async def predict(self, texts: list[str], parameters: Any) -> tuple[list[Answer], float]:
        self.asked += texts
        if self.state == "failing":
            raise ModelFailedError("no")
        if self.state == "hanging":
            await self.free.wait()
        if self.lost:
            raise EngineGoneError
        return [Answer(text, 0.0) for text in texts], 0.0

    def crash(self) -> None:
        self.lost = True
        self.free.set()
        self.gone.set_result(None)

    async def stop(self) -> None:
        self.stopped = True


class Shelf:
    """A source whose desired state a test sets; models in `broken` do not load, and others wait for `open`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wanted: Desired | Exception = Desired()
        self.broken: set[int] = set()
        self.attempts: list[int] = []
        self.workers: dict[int, Worker] = {}
        self.open = asyncio.Event()
        self.open.set()
        monkeypatch.setattr(module.Engine, "start", self._start)

    def desired(self) -> Desired:
        if isinstance(self.wanted, Exception):
            raise self.wanted
        return self.wanted

    def model(self, version: int) -> Path | None:
        return Path(str(version)) if version < 9 else None

    async def _start(self, model: Path, device: Device, limits: Limits) -> Worker:
        version = int(model.name)
        self.attempts.append(version)
        if version in self.broken:
            raise UserError(f"model {version} is broken")
        await self.open.wait()
        self.workers[version] = Worker()
        return self.workers[version]

    async def want(self, traffic: dict[int, int], **aliases: int) -> None:
        self.wanted = Desired(traffic, aliases)
        await advance(1.0)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return Shelf(monkeypatch)


def following(shelf: Shelf, **limits: Any) -> Versions:
    versions = Versions(shelf, Limits(**limits), Device(1, 1), clock=clock)
    versions.start()
    return versions


def chosen(versions: Versions, **by: Any) -> int | None:
    found = versions.choose(**by)
    return found.version if found else None


def drawn(traffic: dict[int, int], loaded: set[int], times: int = 2000) -> dict[int, int]:
    """How often each version is chosen."""
    versions = Versions(None, Limits(), Device(1, 1))  # type: ignore[arg-type]
    versions.applied = Desired(traffic)
    versions._loaded = {version: Loaded(version, None) for version in loaded}  # type: ignore[arg-type]
    random.seed(7)
    counts: dict[int, int] = {}
    for _ in range(times):
        version = chosen(versions)
        assert version is not None
        counts[version] = counts.get(version, 0) + 1
    return counts


@pytest.mark.parametrize(
    ("traffic", "loaded", "expected"),
    [
        ({1: 90, 2: 10}, {1, 2}, {1: 1800, 2: 200}),
        ({1: 0, 2: 50, 3: 50}, {1, 2, 3}, {2: 1000, 3: 1000}),
        ({1: 1, 2: 99}, {1, 2}, {1: 20, 2: 1980}),
        # Shares that do not sum to 100, as of versions that are loaded first at the start, keep their proportions.
        ({1: 60, 2: 20, 3: 20}, {2, 3}, {2: 1000, 3: 1000}),
        ({1: 10, 2: 30}, {1, 2}, {1: 500, 2: 1500}),
        ({1: 10, 2: 90}, {1}, {1: 2000}),
        ({1: 150, 2: 50}, {1, 2}, {1: 1500, 2: 500}),
    ],
)
def test_versions_are_drawn_in_proportion_to_their_shares(
    traffic: dict[int, int], loaded: set[int], expected: dict[int, int]
) -> None:
    counts = drawn(traffic, loaded)
    assert counts.keys() == expected.keys()
    assert counts == pytest.approx(expected, abs=100)


@given(st.dictionaries(st.integers(1, 8), st.integers(0, 100)), st.sets(st.integers(1, 8)))
def test_only_loaded_versions_with_a_share_are_drawn(traffic: dict[int, int], loaded: set[int]) -> None:
    possible = {version for version, share in traffic.items() if share and version in loaded}
    versions = Versions(None, Limits(), Device(1, 1))  # type: ignore[arg-type]
    versions.applied = Desired(traffic)
    versions._loaded = {version: Loaded(version, None) for version in loaded}  # type: ignore[arg-type]
    assert chosen(versions) in (possible or {None})


def test_a_version_is_chosen_by_its_number_or_alias_whatever_its_share(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 0, 2: 100}, champion=2, previous=1, lost=7)
        assert [chosen(versions, version=version) for version in (1, 2, 3)] == [1, 2, None]
        aliases = ("champion", "previous", "lost", "canary")
        assert [chosen(versions, alias=alias) for alias in aliases] == [2, 1, None, None]
        await versions.stop()

    run(main())


def test_at_the_start_the_largest_share_is_loaded_first_and_takes_all_requests(shelf: Shelf) -> None:
    async def main() -> None:
        shelf.broken = {1}
        versions = following(shelf)
        await shelf.want({1: 40, 2: 50, 3: 10})
        assert shelf.attempts == [2, 1, 3]
        assert versions.applied.traffic == {2: 50}
        assert {chosen(versions) for _ in range(50)} == {2}
        shelf.broken = set()
        await advance(3.0)
        assert versions.applied.traffic == {1: 40, 2: 50, 3: 10}
        await versions.stop()

    run(main())


def test_a_version_that_does_not_load_leaves_the_split_and_is_retried_ever_more_rarely(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        shelf.broken, shelf.attempts = {2}, []
        await shelf.want({1: 50, 2: 50})
        assert (versions.applied.traffic, versions.failures) == ({1: 100}, {2: "model 2 is broken"})
        assert not shelf.workers[1].stopped
        attempts = []
        for _ in range(7):
            await advance(1.0)
            attempts.append(len(shelf.attempts))
        assert attempts == [1, 2, 2, 2, 2, 3, 3]  # after 2 s, then after 4 s
        shelf.broken = set()
        await advance(60.0)
        assert (versions.applied.traffic, versions.failures) == ({1: 50, 2: 50}, {})
        await versions.stop()

    run(main())


def test_a_failed_version_that_is_no_longer_desired_is_forgotten(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        await shelf.want({1: 100, 9: 0})
        assert versions.failures == {9: "there is no version 9"}
        assert versions.applied.traffic == {1: 100, 9: 0}
        await shelf.want({1: 100})
        assert versions.failures == {}
        await versions.stop()

    run(main())


def test_while_the_source_is_unreadable_the_versions_stay(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        shelf.wanted = UserError("endpoint.json cannot be read")
        for _ in range(3):
            await advance(1.0)
        assert versions.applied.traffic == {1: 100}
        await shelf.want({1: 0, 2: 100})
        assert versions.applied.traffic == {1: 0, 2: 100}
        await versions.stop()

    run(main())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "endpoint.json cannot be read; the served versions do not change"
    ]


def test_a_version_that_is_no_longer_desired_answers_its_requests_and_is_unloaded(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        old = shelf.workers[1]
        old.state = "hanging"
        request = asyncio.create_task(versions.choose().batcher.ask(["a"]))  # type: ignore[union-attr]
        await advance()
        await shelf.want({2: 100})
        assert (chosen(versions), chosen(versions, version=1)) == (2, None)
        assert not old.stopped
        old.free.set()
        await advance(0.1)
        assert await request == [Answer("a", 0.0)]
        await advance(0.1)
        assert old.stopped
        assert not shelf.workers[2].stopped
        await versions.stop()
        assert shelf.workers[2].stopped

    run(main())


def test_a_version_is_unloaded_after_the_time_limit_of_its_requests(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf, seconds=30)
        await shelf.want({1: 100})
        old = shelf.workers[1]
        old.state = "hanging"
        request = asyncio.create_task(versions.choose().batcher.ask(["a"]))  # type: ignore[union-attr]
        await advance()
        await shelf.want({2: 100})
        await advance(28.0)
        assert not old.stopped
        await advance(3.0)
        assert old.stopped
        request.cancel()
        await versions.stop()

    run(main())


def test_a_crashed_worker_is_restarted_and_its_requests_wait(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        shelf.broken = {1}
        shelf.workers[1].crash()
        await advance()
        failed = asyncio.create_task(versions.choose().batcher.ask(["a"]))  # type: ignore[union-attr]
        await advance(2.1)
        with pytest.raises(EngineGoneError):
            await failed
        waiting = asyncio.create_task(versions.choose().batcher.ask(["b"]))  # type: ignore[union-attr]
        shelf.broken = set()
        await advance(4.1)
        assert await waiting == [Answer("b", 0.0)]
        assert shelf.attempts == [1, 1, 1, 1]
        assert versions.restarts == caplog.text.count("restarting it") == 1  # whatever the number of attempts
        shelf.workers[1].crash()
        await advance()
        assert versions.restarts == 2
        await versions.stop()

    run(main())


def test_a_worker_that_ends_while_its_version_is_removed_is_restarted_for_its_requests(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        old = shelf.workers[1]
        old.state = "hanging"
        request = asyncio.create_task(versions.choose().batcher.ask(["a"]))  # type: ignore[union-attr]
        await advance()
        await shelf.want({2: 100})
        old.crash()
        await advance()
        assert await request == [Answer("a", 0.0)]
        await advance(0.1)
        assert shelf.workers[1] is not old
        assert shelf.workers[1].stopped
        await versions.stop()

    run(main())


def test_a_worker_that_restarts_while_its_version_is_removed_is_stopped(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 0, 2: 100})
        old = shelf.workers[1]
        shelf.open.clear()
        old.crash()
        await advance()
        await shelf.want({2: 100})
        shelf.open.set()
        await advance()
        assert shelf.workers[1] is not old
        assert shelf.workers[1].stopped
        await versions.stop()

    run(main())


def test_the_worker_of_a_removed_version_is_not_restarted_without_requests(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 0, 2: 100})
        await shelf.want({2: 100})
        shelf.workers[1].crash()
        await advance(1.0)
        assert (shelf.attempts, versions.restarts) == ([2, 1], 0)
        await versions.stop()

    run(main())


def with_worker(state: str, answered: float = 0.0) -> tuple[Loaded, Worker]:
    worker = Worker()
    worker.state = state
    batcher = Batcher(worker, Limits(), 1, clock=clock)  # type: ignore[arg-type]
    batcher.answered = clock() - answered
    return Loaded(1, batcher), worker


@pytest.mark.parametrize(
    ("state", "answered", "healthy", "asked"),
    [
        ("failing", 10.0, True, []),  # it has answered lately
        ("ok", 10.5, True, ["."]),
        ("failing", 10.5, False, [".", "."]),
        ("hanging", 10.5, False, ["."]),
    ],
)
def test_a_version_that_has_not_answered_lately_is_sent_a_request(
    state: str, answered: float, healthy: bool, asked: list[str]
) -> None:
    async def main() -> None:
        versions = Versions(None, Limits(), Device(1, 1), clock=clock)  # type: ignore[arg-type]
        loaded, worker = with_worker(state, answered)
        versions.applied, versions._loaded = Desired({1: 100}), {1: loaded}
        checking = asyncio.create_task(versions.healthy(5.0))
        await advance()
        await advance(4.9)
        assert checking.done() == (state != "hanging")
        await advance(0.2)
        assert await checking is healthy
        assert worker.asked in (asked, asked[:1])

    run(main())


def test_a_version_without_a_share_does_not_count_for_the_health(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf)
        assert not await versions.healthy()  # nothing is loaded yet
        await shelf.want({1: 0, 2: 100})
        shelf.workers[1].state = "failing"
        await advance(60.0)
        assert await versions.healthy()
        await versions.stop()

    run(main())


@pytest.mark.parametrize("error", [RuntimeError("a bug"), PermissionError("no"), RecursionError(), KeyError(1)])
def test_after_any_error_the_source_is_followed_again(
    shelf: Shelf, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        shelf.wanted = error
        await advance(1.0)
        assert chosen(versions) == 1
        await advance(1.0)
        await shelf.want({2: 100})
        assert chosen(versions) == 2
        await versions.stop()

    run(main())
    messages = [record for record in caplog.records if "the served versions do not change" in record.getMessage()]
    assert len(messages) == 1  # not one for each attempt
    assert type(error).__name__ in str(messages[0].exc_info)


def test_a_version_whose_start_fails_with_any_error_is_retried(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(model: Path, device: Device, limits: Limits) -> Worker:
        raise ValueError("a bug")

    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        with monkeypatch.context() as patch:
            patch.setattr(module.Engine, "start", broken)
            await shelf.want({2: 100})
            assert versions.failures == {2: "ValueError: a bug"}
            shelf.workers[1].crash()  # its restart fails, too
            await advance(1.0)
        await advance(2.5)
        assert (chosen(versions), versions.failures) == (2, {})
        await versions.stop()

    run(main())


def test_a_worker_is_restarted_after_a_restart_that_failed_with_any_error(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(model: Path, device: Device, limits: Limits) -> Worker:
        raise ValueError("a bug")

    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        with monkeypatch.context() as patch:
            patch.setattr(module.Engine, "start", broken)
            shelf.workers[1].crash()
            await advance(1.0)
        await advance(2.5)
        assert await versions.choose().batcher.ask(["a"]) == [Answer("a", 0.0)]  # type: ignore[union-attr]
        await versions.stop()

    run(main())


def test_a_busy_version_is_healthy_while_its_work_is_in_time_however_long_the_queue(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf, worker_seconds=60, queue=8)
        await shelf.want({1: 100})
        shelf.workers[1].state = "hanging"
        await advance(20.0)
        batcher = versions.choose().batcher  # type: ignore[union-attr]
        first = asyncio.create_task(batcher.ask(["a"]))
        await advance()
        queued = asyncio.create_task(batcher.ask(["b"] * 8))  # the queue is full
        await advance(59.0)
        assert await versions.healthy()
        await advance(2.0)
        assert not await versions.healthy()  # the batch takes longer than it may
        shelf.workers[1].free.set()
        await asyncio.gather(first, queued)
        assert await versions.healthy()
        await versions.stop()

    run(main())


def test_a_probe_that_hangs_is_no_sign_of_work(shelf: Shelf) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 100})
        shelf.workers[1].state = "hanging"
        await advance(20.0)
        for _ in range(2):
            checking = asyncio.create_task(versions.healthy(5.0))
            await advance()
            await advance(5.1)
            assert not await checking
        await versions.stop()

    run(main())


def test_only_a_change_of_the_traffic_is_logged_as_one(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        versions = following(shelf)
        await shelf.want({1: 90, 2: 10})
        caplog.clear()
        shelf.wanted = Desired({1: 90, 2: 10}, {"champion": 1})
        await advance(0.3)
        assert versions.choose(alias="champion") is versions.choose(1)
        assert "traffic" not in caplog.text
        await shelf.want({1: 0, 2: 100})
        assert "traffic 1:0% 2:100%" in caplog.text
        await versions.stop()

    with caplog.at_level("INFO"):
        run(main())
