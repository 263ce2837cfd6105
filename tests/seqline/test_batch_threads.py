"""Threads that run a model's batches."""

import os
import threading
from pathlib import Path

import pytest

from seqline import batch_threads
from seqline.batch_threads import batches_at_once, share_cores


@pytest.mark.parametrize(
    ("cores", "at_once", "each"), [(1, 1, 1), (2, 2, 1), (4, 4, 1), (6, 4, 2), (8, 4, 2), (64, 4, 16)]
)
def test_each_batch_gets_its_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cores: int, at_once: int, each: int
) -> None:
    found = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr("seqline.cores.CGROUP", tmp_path)
    monkeypatch.setattr(batch_threads, "set_threads", lambda *sizes: found.append(sizes))
    monkeypatch.setattr(batch_threads, "DRIVER", tmp_path / "none")
    share_cores()
    assert batches_at_once() == at_once
    assert found == [(each, at_once)]
    monkeypatch.setattr(batch_threads, "DRIVER", tmp_path)
    share_cores()
    assert len(found) == 1


def test_after_tensorflow_has_started_its_threads_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def set_threads(*_: int) -> None:
        raise RuntimeError("cannot be modified after initialization")

    monkeypatch.setattr(batch_threads, "set_threads", set_threads)
    monkeypatch.setattr(batch_threads, "DRIVER", tmp_path / "none")
    share_cores()


def test_batches_run_at_the_same_time() -> None:
    both = threading.Barrier(2)
    with batch_threads.batch_threads(2) as threads:
        assert sorted(threads.map(lambda _: both.wait(60), range(2))) == [0, 1]


def test_after_an_error_batches_that_have_not_begun_are_dropped() -> None:
    dropped = threading.Event()
    with pytest.raises(ZeroDivisionError), batch_threads.batch_threads(1) as threads:
        begun, waiting = threads.submit(dropped.wait, 60), threads.submit(print)
        waiting.add_done_callback(lambda _: dropped.set())
        raise ZeroDivisionError
    assert begun.result()
    assert waiting.cancelled()
