"""A laptop's stages as processes, forked from servers that have imported their libraries."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

from seqline.endpoints.process import isolated
from seqline.targets.stage_server import Request

# What every stage imports.
COMMON = ("kfp.dsl.executor_main", "pydantic")
LARGE = (*COMMON, "tensorflow", "tensorflow_text")

# KFP's command of a Python component: perhaps `sh -c INSTALL`, then `sh -ec` and a script that writes this file.
SCRIPT = "ephemeral_component.py"


class StageProcesses:
    """Runs stages one after the other; a context manager that ends their servers.

    One server has what every stage needs. Another has TensorFlow; it is started by `warm_up`, and imports while a stage
    of the first one runs.

    Args:
        ahead: Further modules that the first one imports, such as those of the stages that it will run.
    """

    def __init__(self, ahead: Sequence[str] = ()) -> None:
        self._ahead = ahead
        self._common: _Server | None = None
        self._large: _Server | None = None

    def __enter__(self) -> "StageProcesses":
        return self

    def __exit__(self, *error: object) -> None:
        for server in (self._common, self._large):
            if server is not None:
                server.close()

    def begin(self, folder: Path) -> None:
        """Starts to import what every stage needs.

        Args:
            folder: A working folder without modules.
        """
        self._common = self._common or self._start((*COMMON, *self._ahead), folder)

    def warm_up(self, command: Sequence[str], folder: Path) -> None:
        """Starts to import TensorFlow, unless that was done, or the stage runs elsewhere, such as in a container.

        Args:
            command: The stage's command.
            folder: A working folder without modules.
        """
        if "source" in _parts(command):
            self._large = self._large or self._start(LARGE, folder)

    def run(
        self,
        command: Sequence[str],
        folder: Path,
        log: Path,
        environment: Mapping[str, str],
        large: bool = False,
        patience: float = 30,
    ) -> int:
        """Runs a stage to its end; interrupts it, as Ctrl-C does, on an exception.

        Args:
            command: The command of a compiled spec, its placeholders resolved.
            folder: The working folder.
            log: The file for its output.
            environment: Variables in addition to those of this process.
            large: Whether the stage imports TensorFlow.
            patience: Seconds to save its work when it is interrupted.

        Returns:
            Its exit code.
        """
        request = Request(
            folder=str(folder), log=str(log), environment=_variables(environment), patience=patience, **_parts(command)
        )
        if large and self._large is not None:
            return self._large.run(request)
        self.begin(folder)
        assert self._common is not None  # noqa: S101
        return self._common.run(request)

    def _start(self, modules: Sequence[str], folder: Path) -> "_Server":
        return _Server(modules, folder)


class _Server:
    """A server, from `seqline.targets.stage_server`."""

    def __init__(self, modules: Sequence[str], folder: Path) -> None:
        # A session of its own: Ctrl-C reaches this process alone, which passes it on once.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "seqline.targets.stage_server", "--serve", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=_variables({"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2")}),
            start_new_session=True,
        )
        self._requests, self._answers = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self._ready = False

    def ready(self) -> bool:
        """Whether its imports have ended."""
        return self._ready or bool(select.select([self._answers], [], [], 0)[0])

    def run(self, request: Request) -> int:
        """Runs a stage and returns its exit code."""
        try:
            with contextlib.suppress(BrokenPipeError):
                self._requests.write(request.line())
                self._requests.flush()
            if not self._ready:
                self._ready = bool(self._answers.readline())
            line = self._answers.readline()
            return int(line) if line else -signal.SIGKILL  # the server was killed, and its stage with it
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the server, which first interrupts its stage if one runs."""
        if self._requests.closed:
            return
        self._requests.close()
        if not self.ready():
            self._process.kill()
        self._process.wait()
        self._answers.close()


def _variables(added: Mapping[str, str]) -> dict[str, str]:
    # kfp then imports its executor only.
    return isolated({**os.environ, "PYTHONUNBUFFERED": "1", "_KFP_RUNTIME": "true", **added})


def _parts(command: Sequence[str]) -> dict[str, Any]:
    """The parts of a command that KFP compiled from a Python function; any other command is run as it is."""
    start = 3 if command[:2] == ["sh", "-c"] else 0
    if command[start : start + 2] != ["sh", "-ec"] or SCRIPT not in command[start + 2]:
        return {"command": list(command)}
    # The script of the installation ends with the command after it.
    install = [word.replace("python3", sys.executable) for word in command[:start]]
    source, *arguments = command[start + 3 :]
    return {"source": source, "arguments": arguments, "command": [*install, "true"] if install else []}
