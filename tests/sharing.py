"""Resources shared by the processes of one test session: the first that needs one creates it."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from seqline.targets.replaced import replaced
from seqline.targets.stage_processes import StageProcesses

REPOSITORY = str(Path(__file__).parents[1])
SMALL_DEMO = "tests.components.train.small_demo"
"""A module for servers of stages, in which the preset `demo` is then small."""


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is filled once in a session, however many processes pytest-xdist runs the tests in."""
    folder = _session(factory) / name
    with _locked(folder.with_suffix(".lock"), fcntl.LOCK_EX):
        if not folder.with_suffix(".made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


@contextmanager
def running_once(factory: pytest.TempPathFactory, name: str, run: Callable[[Path], Any]) -> Iterator[dict[str, Any]]:
    """The JSON data of a resource, such as a server, that all processes share.

    The first process that needs it enters `run(folder)`, a context manager that yields the data, and exits it when all
    processes are done.
    """
    folder = _session(factory) / name
    folder.mkdir(exist_ok=True)
    data, own = folder / "data.json", None
    # A lock is released when its process ends, so a crash blocks no other process.
    with (folder / "users.lock").open("w") as users:
        with _locked(folder / "start.lock", fcntl.LOCK_EX):
            if not data.exists():
                own = run(folder)
                data.write_text(json.dumps(own.__enter__()))
            fcntl.flock(users, fcntl.LOCK_SH)
        yield json.loads(data.read_text())
        if own is None:
            return
        with _locked(folder / "start.lock", fcntl.LOCK_EX):
            data.unlink()
        fcntl.flock(users, fcntl.LOCK_UN)
        fcntl.flock(users, fcntl.LOCK_EX)
        own.__exit__(None, None, None)


def _session(factory: pytest.TempPathFactory) -> Path:
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, how)
        yield


class StageServers:
    """The servers that a laptop's stages are forked from, started once for several runs.

    Each imports TensorFlow, or at least kfp, for seconds.

    Args:
        folder: An empty folder for them, like that of a run.
        imports: Modules of the tests that they import too.
    """

    def __init__(self, folder: Path, imports: Sequence[str] = ()) -> None:
        self._folder, self._imports = folder, tuple(imports)
        self._servers: dict[tuple[str, ...], Any] = {}

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Within the block, runs of this process use them and do not end them."""
        start, servers = StageProcesses._start, self._servers

        def one(processes: StageProcesses, modules: Sequence[str], folder: Path) -> Any:
            key = (*modules, *self._imports)
            # An interrupted run has closed its server.
            if key not in servers or servers[key]._requests.closed or servers[key]._process.poll() is not None:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("PYTHONPATH", REPOSITORY, prepend=os.pathsep)
                    servers[key] = start(processes, key, self._folder)
            return servers[key]

        with replaced(StageProcesses, "_start", one), replaced(StageProcesses, "__exit__", lambda *error: None):
            yield

    def close(self) -> None:
        """Ends them."""
        for server in self._servers.values():
            server.close()
