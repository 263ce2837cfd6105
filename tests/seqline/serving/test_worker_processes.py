"""A worker that is started before its model is known."""

import signal

import pytest

from seqline.serving import worker_processes
from tests import light_models


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in light_models.environment().items():
        monkeypatch.setenv(name, value)


def test_a_worker_that_no_version_needs_ends_with_the_server() -> None:
    with worker_processes.one_early():
        process, ours = worker_processes._early[0]
        assert process.poll() is None
    assert process.poll() == -signal.SIGKILL
    assert ours.fileno() == -1


def test_the_first_version_gets_the_early_worker_and_the_next_one_another() -> None:
    with worker_processes.one_early():
        early = worker_processes._early[0]
        first, second = worker_processes.take(), worker_processes.take()
    assert first == early
    assert second[0].pid != first[0].pid
    for process, ours in (first, second):
        ours.close()
        assert process.wait(60) == 0  # it reads the end of its socket, and not a model


def test_an_early_worker_that_was_killed_is_replaced() -> None:
    with worker_processes.one_early():
        worker_processes._early[0][0].kill()
        worker_processes._early[0][0].wait()
        process, ours = worker_processes.take()
        assert process.poll() is None
    ours.close()
    assert process.wait(60) == 0
