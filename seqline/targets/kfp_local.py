"""Events and a log file for each task that `kfp.local` runs, and isolated stage processes.

kfp 2.17 runs a compiled pipeline in this process and prints everything to standard output. It has no hooks, so three of
its functions are replaced while a pipeline runs; the tests of this module fail when a new kfp moves them.
"""

import contextlib
import io
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqline.endpoints.process import isolated
from seqline.targets.key_metrics import key_metric
from seqline.targets.replaced import replaced
from seqline.targets.target import Task


@dataclass
class LocalTask(Task):
    """One task of a local run.

    Attributes:
        run: Folder of the run that it belongs to.
        log: The file with the stage's output.
        outputs: Output parameters and artifacts by name, once it succeeded.
    """

    run: Path = Path()
    log: Path = Path()
    outputs: dict[str, Any] = field(default_factory=dict)


def touch_metrics(outputs: Iterable[Any]) -> None:
    """Creates an empty file for each `Metrics` artifact, which has metadata only.

    kfp's local cache assumes that an artifact without a file was deleted, and runs its task again.

    Args:
        outputs: Output parameters and artifacts of a task.
    """
    from kfp import dsl

    for output in outputs:
        if isinstance(output, dsl.Metrics):
            path = Path(output.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def stop(process: "subprocess.Popen[bytes]", seconds: float = 30) -> None:
    """Interrupts a stage and its child processes, and kills those that do not end in time.

    Args:
        process: The stage, which leads a session of its own.
        seconds: Time to save and end.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def observed(on_change: Callable[[LocalTask], None]) -> Iterator[None]:
    """Within the block, reports every task that `kfp.local` runs and writes its output to a file.

    Args:
        on_change: Called when a task starts and again when it ends.
    """
    from kfp.local import cache, status, subprocess_task_handler
    from kfp.local.orchestrator import task_executor

    execute, look_up, store = task_executor.execute_single_task, cache.LocalCache.get, cache.LocalCache.put
    running: list[LocalTask] = []

    def execute_single_task(task_name: str, task_spec: Any, **rest: Any) -> Any:
        run = Path(rest["pipeline_root"]) / rest["pipeline_resource_name"]
        log = run / "logs" / f"{task_name}.log"
        shown = task_spec.task_info.name or task_name
        task = LocalTask(shown, "running", time.time(), id=task_name, run=run, log=log)
        running.append(task)
        on_change(task)
        try:
            outputs, result = execute(task_name=task_name, task_spec=task_spec, **rest)
            if result != status.Status.SUCCESS:
                task.state = "failed"
            elif task.state == "running":
                task.state = "succeeded"
            task.outputs = dict(outputs)
            touch_metrics(outputs.values())
            artifacts = {name: value.metadata for name, value in outputs.items() if hasattr(value, "metadata")}
            stage = task_spec.component_ref.name.removeprefix("comp-").rstrip("-0123456789")
            task.metric = key_metric(stage, artifacts)
            return outputs, result
        except KeyboardInterrupt:
            task.state = "cancelled"
            raise
        except BaseException:
            task.state = "failed"
            raise
        finally:
            task.seconds = time.time() - task.started
            running.remove(task)
            on_change(task)

    def get(self: Any, key: str) -> Any:
        found = look_up(self, key)
        if found is not None and running:
            running[-1].state = "cached"
        return found

    def put(self: Any, key: str, outputs: dict[str, Any]) -> None:
        # A problem may be gone in the next run, such as a model that did not load.
        if not any(getattr(output, "metadata", {}).get("problem") for output in outputs.values()):
            store(self, key, outputs)

    def run_local_subprocess(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        task = running[-1]
        task.log.parent.mkdir(parents=True, exist_ok=True)
        environment = isolated({**os.environ, "PYTHONUNBUFFERED": "1", **(env_vars or {})})
        with task.log.open("w", encoding="utf-8") as file:
            # A session of its own: Ctrl-C reaches this process alone, which passes it on once.
            process = subprocess.Popen(
                full_command,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=task.run,
                env=environment,
                start_new_session=True,
            )
            try:
                return process.wait()
            except BaseException:
                stop(process)
                raise

    with (
        replaced(task_executor, "execute_single_task", execute_single_task),
        replaced(cache.LocalCache, "get", get),
        replaced(cache.LocalCache, "put", put),
        replaced(subprocess_task_handler, "run_local_subprocess", run_local_subprocess),
        # kfp prints its own log of the run, and warns that images are not used here.
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
