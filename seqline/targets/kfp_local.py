"""Events and a log file for each task that `kfp.local` runs, and isolated stage processes.

kfp 2.17 runs a compiled pipeline in this process and prints everything to standard output. It has no hooks, so some of
its functions are replaced while a pipeline runs; the tests of this module fail when a new kfp moves them.
"""

import contextlib
import io
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from seqline.progress import VARIABLE
from seqline.targets import local_progress
from seqline.targets.evaluated import has_no_model, stage_of, with_content
from seqline.targets.key_metrics import key_metric
from seqline.targets.replaced import replaced
from seqline.targets.stage_processes import StageProcesses
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


def load_pipeline(spec: Path) -> Any:
    """`kfp.components.load_component_from_file`, which parses with PyYAML's slow parser.

    Args:
        spec: The compiled YAML.
    """
    import yaml
    from kfp import components
    from kfp.dsl import structures

    from seqline.schema.spec_files import read_documents

    with replaced(structures, "yaml", SimpleNamespace(**{**vars(yaml), "safe_load_all": read_documents})):
        return components.load_component_from_file(str(spec))


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


def imports_tensorflow(image: str) -> bool:
    """Whether an image is one of ours whose stages import TensorFlow.

    Args:
        image: Its address.
    """
    name = image.rpartition("/")[2]
    return re.split("[:@]", name)[0] in ("train", "train-gpu", "train-tpu", "evaluate", "infer")


@contextlib.contextmanager
def observed(on_change: Callable[[LocalTask], None], processes: StageProcesses) -> Iterator[None]:
    """Within the block, reports every task that `kfp.local` runs and writes its output to a file.

    Args:
        on_change: Called when a task starts and again when it ends.
        processes: Runs the tasks.
    """
    from kfp.local import cache, status, subprocess_task_handler
    from kfp.local.orchestrator import task_executor
    from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils

    execute, look_up, store = task_executor.execute_single_task, cache.LocalCache.get, cache.LocalCache.put
    key_of = cache.LocalCache.compute_key
    running: list[LocalTask] = []
    # Whether the task that runs imports TensorFlow, and whether to import it for this or a later task.
    large = warm_up = False

    def execute_single_task(task_name: str, task_spec: Any, **rest: Any) -> Any:
        run = Path(rest["pipeline_root"]) / rest["pipeline_resource_name"]
        log = run / "logs" / f"{task_name}.log"
        shown = task_spec.task_info.name or task_name
        task = LocalTask(shown, "running", time.time(), id=task_name, run=run, log=log)
        nonlocal large, warm_up
        arguments = OrchestratorUtils.make_task_arguments(task_spec.inputs, rest["io_store"])
        # Other tasks take a second. Without this, a run whose stages are cached would import TensorFlow.
        works = task_spec.caching_options.enable_cache and not has_no_model(arguments)
        executors = rest["executors"]
        warm_up = works and any(imports_tensorflow(executor.container.image) for executor in executors.values())
        label = rest["components"][task_spec.component_ref.name].executor_label
        large = works and imports_tensorflow(executors[label].container.image)
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
            task.metric = key_metric(stage_of(task_spec.component_ref.name), artifacts)
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
            local_progress.remove(run, task.id)
            on_change(task)

    def compute_key(
        self: Any, component_name: str, full_command: list[str], arguments: dict[str, Any], **rest: Any
    ) -> str:
        name, identified = with_content(component_name, full_command, arguments)
        return str(key_of(self, component_name=name, full_command=full_command, arguments=identified, **rest))

    def get(self: Any, key: str) -> Any:
        found = look_up(self, key)
        if found is not None and running:
            running[-1].state = "cached"
        return found

    def put(self: Any, key: str, outputs: dict[str, Any]) -> None:
        # A problem may be gone in the next run, such as a model that did not load.
        if not any(getattr(output, "metadata", {}).get("problem") for output in outputs.values()):
            # A mounted bucket may have forgotten the folder while it was empty.
            Path(self.cache_root).mkdir(parents=True, exist_ok=True)
            store(self, key, outputs)

    def run_local_subprocess(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        task = running[-1]
        task.log.parent.mkdir(parents=True, exist_ok=True)
        if warm_up:
            processes.warm_up(full_command, task.run)
        variables = {VARIABLE: str(local_progress.folder_of(task.run, task.id)), **(env_vars or {})}
        return processes.run(full_command, task.run, task.log, variables, large)

    with (
        replaced(task_executor, "execute_single_task", execute_single_task),
        replaced(cache.LocalCache, "compute_key", compute_key),
        replaced(cache.LocalCache, "get", get),
        replaced(cache.LocalCache, "put", put),
        replaced(subprocess_task_handler, "run_local_subprocess", run_local_subprocess),
        # It replaces "python3" in every word, paths and texts of the user included.
        replaced(subprocess_task_handler, "replace_python_executable", lambda command, executable: command),
        # kfp prints its own log of the run, and warns that images are not used here.
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
