"""The process that a laptop's stages are forked from, so that libraries are imported once a run.

`import tensorflow` takes seconds, and a run starts several stages that need it. The server imports it, and forks one
stage at a time. It reads requests from standard input, one a line, and answers on standard output: `ready` after its
imports, and then the exit code of each stage. When its input ends, because the run has ended or was killed, it
interrupts the stage and ends.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from seqline.children import ending_with_parent
from seqline.quick_imports import quick_imports


@dataclass(frozen=True)
class Request:
    """A stage to run.

    Attributes:
        arguments: Arguments of KFP's executor.
        source: The module with the component's function; empty to run `command` instead.
        command: A command to run, such as a container's. With `source` it is run before, and the executor after it in a
            new interpreter: it installs packages.
        folder: The working folder.
        log: The file for the output.
        environment: All variables.
        patience: Seconds that the stage has to end when it is interrupted.
    """

    log: str
    folder: str
    arguments: Sequence[str] = ()
    source: str = ""
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = 30

    def line(self) -> bytes:
        """The request as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"


def serve(modules: Sequence[str]) -> Request | None:
    """Forks a child for each request.

    Args:
        modules: Modules to import first; those that cannot be imported are left to the stage, which says why.

    Returns:
        In a child, its request; None in the server, when its input has ended.
    """
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    # Output of imports is nobody's answer.
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(null, standard)
    with quick_imports():
        for module in modules:
            with contextlib.suppress(Exception):
                importlib.import_module(module)
    gc.freeze()  # collections in a child would copy the pages of all that was imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers.write(b"ready\n")
    prepare = ending_with_parent()
    while line := requests.readline():
        request = Request(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            if prepare is not None:
                prepare()
            for pipe in (answers, requests):
                pipe.close()
            return request
        code = _wait(pid, requests, request.patience)
        with contextlib.suppress(BrokenPipeError):
            answers.write(b"%d\n" % code)
    return None


def _wait(pid: int, requests: BinaryIO, patience: float) -> int:
    """Waits for a stage, and interrupts it when the requests end; returns its exit code."""
    stage = os.pidfd_open(pid)
    try:
        if stage not in select.select([stage, requests.fileno()], [], [])[0]:
            _signal_group(pid, signal.SIGINT)
            select.select([stage], [], [], patience)
            # Its number is not free before waitpid, so that this reaches nobody else.
            _signal_group(pid, signal.SIGKILL)
    finally:
        os.close(stage)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Signals a stage and its child processes, or the stage alone if it does not lead its group yet."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def begin(request: Request) -> None:
    """Makes this process the stage's: session, folder, variables, output.

    Args:
        request: The stage.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    output = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    if not request.source:
        os.execvp(request.command[0], list(request.command))  # noqa: S606
    if request.command:
        code = subprocess.call(request.command)
        if code:
            sys.exit(code)
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump({"source": request.source, "arguments": list(request.arguments)}, file)
        os.execv(sys.executable, [sys.executable, "-m", "seqline.targets.stage_server", "--run", file.name])  # noqa: S606


def execute(source: str, arguments: Sequence[str]) -> None:
    """Runs KFP's executor in this process.

    Args:
        source: The module with the component's function.
        arguments: Arguments of the executor. Unlike those of a command line, which Linux limits to 128 KiB each, they
            may have any length.
    """
    from kfp.dsl import executor_main

    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "ephemeral_component.py"
        module.write_text(source, encoding="utf-8")
        sys.argv = ["executor_main", "--component_module_path", str(module), *arguments]
        executor_main.executor_main()


def _end(code: int) -> None:
    """Ends this process as the interpreter would, but does not free all that was imported, which takes seconds."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def main(words: Sequence[str]) -> None:
    """Serves, or runs a stage in this process.

    Args:
        words: `--serve` and the modules to import, or `--run` and a file from `begin`, which is deleted.
    """
    if words[0] == "--run":
        file = Path(words[1])
        fields = json.loads(file.read_text(encoding="utf-8"))
        file.unlink()
        execute(**fields)
        return
    request = serve(words[1:])
    if request is None:
        return
    code = 1
    try:
        begin(request)
        execute(request.source, request.arguments)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    _end(code)


if __name__ == "__main__":
    main(sys.argv[1:])
