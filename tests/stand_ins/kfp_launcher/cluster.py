"""A cluster: the DAG of a compiled pipeline, task by task, as Argo runs what the API server makes of it.

Sources: backend/src/v2/compiler/argocompiler/*.go and backend/src/apiserver/server/api_util.go at 2.17.0.
"""

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seqline.targets.kfp_local import imports_tensorflow
from tests.stand_ins.kfp_launcher import roots
from tests.stand_ins.kfp_launcher.buckets import BucketConfig, LauncherError
from tests.stand_ins.kfp_launcher.driver import Driver, RunInfo
from tests.stand_ins.kfp_launcher.launcher import Kill, Launcher, Pods, killed
from tests.stand_ins.kfp_launcher.metadata import Execution, Store, value
from tests.stand_ins.kfp_launcher.stores import Store as Objects

# MaxParameterBytes in backend/src/common/util/consts.go
LONGEST_PARAMETERS = 10_000
EXIT = "ALL_UPSTREAM_TASKS_COMPLETED"


@dataclass
class TaskRun:
    """What became of a task."""

    name: str
    state: str
    attempts: int = 1
    error: str = ""
    execution: Execution | None = None


@dataclass
class Run:
    """What became of a run."""

    root: str
    id: str
    tasks: dict[str, TaskRun] = field(default_factory=dict)

    @property
    def failed(self) -> dict[str, str]:
        """The errors of the tasks that failed."""
        return {name: task.error for name, task in self.tasks.items() if task.state == "failed"}

    @property
    def states(self) -> dict[str, str]:
        return {name: task.state for name, task in self.tasks.items()}

    def parameter(self, task: str, output: str) -> Any:
        execution = self.tasks[task].execution
        return None if execution is None else execution.outputs.get(output)

    def address(self, task: str, output: str) -> str:
        execution = self.tasks[task].execution
        assert execution is not None
        return execution.output_artifacts[output].uri


class Cluster:
    """Runs compiled pipelines, and remembers what is cached.

    Args:
        folder: Folder for the pods, which are deleted when they end.
        stores: Object stores by scheme, such as "s3://".
        root: The pipeline root.
        environment: Variables of every pod, as from Kubernetes secrets.
        imports: Modules of the tests that the processes of tasks import.
    """

    def __init__(
        self,
        folder: Path,
        stores: Mapping[str, Objects],
        root: str,
        environment: Mapping[str, str] | None = None,
        imports: Sequence[str] = (),
    ) -> None:
        self.folder, self.stores, self.root, self.environment = folder, stores, root, dict(environment or {})
        self.metadata = Store()
        self.pods = Pods(folder, imports)

    @contextmanager
    def running(self) -> Iterator["Cluster"]:
        """Holds the processes that tasks are forked from."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.pods:
            yield self

    def run(self, spec: Path, arguments: Mapping[str, Any], kills: Sequence[Kill] = ()) -> Run:
        """Runs a compiled pipeline to its end.

        Args:
            spec: The compiled file.
            arguments: Values of parameters.
            kills: Pods to kill.

        Raises:
            LauncherError: If the API server refuses the run.
        """
        size = len(json.dumps(dict(arguments)))
        if size > LONGEST_PARAMETERS:
            raise LauncherError(f"The input parameter length exceed maximum size of {LONGEST_PARAMETERS}")
        return _Runner(self, yaml.safe_load_all(spec.read_text()).__next__(), kills).run(arguments)


class _Runner:
    """One run."""

    def __init__(self, cluster: Cluster, spec: dict[str, Any], kills: Sequence[Kill]) -> None:
        self.cluster, self.spec, self.kills = cluster, spec, kills
        name, number = spec["pipelineInfo"]["name"], str(uuid.uuid4())
        # GetPipeline in backend/src/v2/metadata/client.go
        root = f"{cluster.root.rstrip('/')}/{name}/{number}"
        self.info = RunInfo(number, f"{name}-{number[:5]}", f"{name} of a test", name, root)
        self.driver = Driver(self.info)
        self.launcher = Launcher(cluster.stores, root, cluster.pods, cluster.environment, cluster.metadata)
        self.result = Run(root, number)

    def run(self, arguments: Mapping[str, Any]) -> Run:
        root = self.spec["root"]
        known = root.get("inputDefinitions", {}).get("parameters", {})
        if unknown := set(arguments) - set(known):
            raise LauncherError(f"the pipeline has no parameter {sorted(unknown)}")
        inputs = {name: value(one.get("defaultValue")) for name, one in known.items()}
        inputs |= {name: value(one) for name, one in arguments.items()}
        execution = Execution(next(self.cluster.metadata.numbers), "", None, inputs=inputs, component=root)
        self._dag(execution)
        return self.result

    def _dag(self, dag: Execution) -> bool:
        """Runs the tasks of a DAG; returns whether all succeeded. After a failure no other begins (failFast)."""
        tasks = dag.component["dag"]["tasks"]
        waiting = {name: task for name, task in tasks.items() if not _is_exit(task)}
        succeeded = True
        while waiting:
            name = next(one for one in waiting if not set(waiting[one].get("dependentTasks", ())) & set(waiting))
            succeeded = self._task(name, waiting.pop(name), dag) and succeeded
            for other, task in tasks.items():
                # A hook of the task that it waits for, which runs however that ended.
                if _is_exit(task) and task.get("dependentTasks") == [name]:
                    succeeded = self._task(other, task, dag) and succeeded
            if not succeeded:
                break
        return succeeded

    def _task(self, name: str, task: dict[str, Any], dag: Execution) -> bool:
        component = self.spec["components"][task["componentRef"]["name"]]
        if "artifactIterator" in task:
            raise LauncherError("ArtifactIterator is not implemented")
        execution = Execution(next(self.cluster.metadata.numbers), name, dag, component=component)
        try:
            if "dag" in component:
                return self._nested(name, task, execution, dag)
            deployment = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]
            if "importer" in deployment:
                self._import(name, task, deployment["importer"], execution, dag)
                return True
            return self._container(name, task, deployment["container"], execution, dag)
        except LauncherError as error:
            self.result.tasks[name] = TaskRun(name, "failed", error=str(error), execution=execution)
            return False

    def _nested(self, name: str, task: dict[str, Any], execution: Execution, dag: Execution) -> bool:
        inputs = self.driver.inputs(name, task, execution.component, dag)
        triggers = self.driver.triggers(task, inputs)
        execution.inputs = inputs["parameterValues"]
        execution.artifacts = {key: listed["artifacts"] for key, listed in inputs["artifacts"].items()}
        execution.state = "RUNNING" if triggers else "CANCELED"  # NotTriggered
        dag.children[name] = execution
        if not triggers:
            return True
        return self._loop(task["parameterIterator"], execution) if "parameterIterator" in task else self._dag(execution)

    def _loop(self, iterator: dict[str, Any], loop: Execution) -> bool:
        """The iterations of a loop, one after the other: a DAG driver for each of them."""
        source = iterator["items"]
        items = json.loads(source["raw"]) if "raw" in source else loop.inputs[source["inputParameter"]]
        items = json.loads(items) if isinstance(items, str) else items  # getItems
        loop.iterations = []
        inputs = {name: one for name, one in loop.inputs.items() if name != source.get("inputParameter")}
        for item in items:
            one = Execution(next(self.cluster.metadata.numbers), loop.task, loop, component=loop.component)
            one.inputs, one.artifacts = {**inputs, iterator["itemInput"]: value(item)}, loop.artifacts
            loop.iterations.append(one)
            if not self._dag(one):
                return False
        return True

    def _import(
        self, name: str, task: dict[str, Any], importer: dict[str, Any], execution: Execution, dag: Execution
    ) -> None:
        """ImportSpecToMLMDArtifact in backend/src/v2/component/importer_launcher.go."""
        if "condition" in task.get("triggerPolicy", {}):
            raise LauncherError("triggerPolicy.condition on importer task is not supported")
        address = importer["artifactUri"]
        if "constant" in address:
            uri = address["constant"]
        else:
            given = task["inputs"]["parameters"][address["runtimeParameter"]]
            key = given.get("componentInputParameter", "")
            if key not in dag.inputs:
                raise LauncherError(f"error resolving artifact URI: parent DAG does not have input parameter {key}")
            uri = dag.inputs[key]
        if not uri:
            raise LauncherError("empty artifact URI")
        BucketConfig.of_root(uri)  # ParseProviderFromPath
        known = self.cluster.metadata.imported
        if uri not in known or importer.get("reimport"):
            known[uri] = self.cluster.metadata.record("artifact", uri, importer.get("metadata", {}))
        (output,) = execution.component["outputDefinitions"]["artifacts"]
        execution.output_artifacts[output], execution.state = known[uri], "COMPLETE"
        dag.children[name] = execution
        self.result.tasks[name] = TaskRun(name, "succeeded", execution=execution)

    def _container(
        self, name: str, task: dict[str, Any], container: dict[str, Any], execution: Execution, dag: Execution
    ) -> bool:
        """Container in backend/src/v2/driver/container.go, then the pod's attempts."""
        component, metadata = execution.component, self.cluster.metadata
        inputs = self.driver.inputs(name, task, component, dag)
        pod = self.cluster.folder / f"{name}-{uuid.uuid4().hex[:8]}"
        executor = {"inputs": inputs, "outputs": self.driver.outputs(name, component, pod)}
        execution.inputs = inputs["parameterValues"]
        dag.children[name] = execution
        key = ""
        if task.get("cachingOptions", {}).get("enableCache"):
            key = self.driver.fingerprint(executor, component, container)
            cached = metadata.cache.get((self.info.pipeline, key))
            if cached:
                # reuseCachedOutputs: the same artifacts, at their addresses in another run.
                execution.outputs, execution.output_artifacts = cached.outputs, cached.output_artifacts
                execution.state = "CACHED"
                self.result.tasks[name] = TaskRun(name, "cached", 0, execution=execution)
                return True
        retries = int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
        done = TaskRun(name, "failed", 0, execution=execution)
        self.result.tasks[name] = done
        for attempt in range(retries + 1):
            done.attempts = attempt + 1
            kill = next((one for one in self.kills if one.task == name and attempt < one.attempts), None)
            with ExitStack() as stack:
                # A pod's disk ends with it; another attempt has what was uploaded, and nothing else.
                stack.callback(shutil.rmtree, pod, ignore_errors=True)
                pod.mkdir(parents=True)
                code = self._attempt(done, executor, container, pod, attempt, kill)
            if code == 0:
                done.state, execution.state = "succeeded", "COMPLETE"
                dag.update()
                if key:
                    metadata.cache[self.info.pipeline, key] = execution
                return True
            if not (kill and kill.pod):
                execution.state = "FAILED"
                dag.update()
        return False

    def _attempt(
        self,
        done: TaskRun,
        executor: dict[str, Any],
        container: dict[str, Any],
        pod: Path,
        attempt: int,
        kill: Kill | None,
    ) -> int:
        execution = done.execution
        assert execution is not None
        words, large = self.driver.words(container, executor["inputs"]), imports_tensorflow(container["image"])
        variables = {one["name"]: one["value"] for one in container.get("env", ())}
        variables |= {roots.KILL: kill.when} if kill else {}
        try:
            execution.outputs, execution.output_artifacts, code = self.launcher.launch(
                execution.component, executor, words, pod, attempt, variables, large
            )
        except LauncherError as error:
            done.error = str(error)
            return 1
        if code:
            logs = list(pod.rglob("executor-logs-*"))
            text = logs[0].read_text(errors="replace") if logs else ""
            done.error = "killed" if killed(code) else "\n".join(text.strip().splitlines()[-8:])
        return code


def _is_exit(task: dict[str, Any]) -> bool:
    return task.get("triggerPolicy", {}).get("strategy") == EXIT
