"""The driver: resolves a task's inputs and names its outputs: backend/src/v2/driver/*.go at 2.17.0."""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stand_ins.kfp_launcher.buckets import LauncherError, local_path
from tests.stand_ins.kfp_launcher.metadata import Execution, value

NULL = object()
"""ErrResolvedParameterNull."""
TYPES = {
    "STRING": str,
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
    "TASK_FINAL_STATUS": dict,
}
# handleParamTypeValidationAndConversion, resolveContainerArgs
PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['(.+?)']}}")


@dataclass(frozen=True)
class RunInfo:
    """What placeholders stand for."""

    id: str
    name: str
    display_name: str
    pipeline: str
    root: str


class Driver:
    """Resolves the inputs of tasks.

    Args:
        run: The run.
    """

    def __init__(self, run: RunInfo) -> None:
        self.run = run

    def inputs(self, name: str, task: dict[str, Any], component: dict[str, Any], dag: Execution) -> dict[str, Any]:
        """resolveInputs: an executor input's `inputs`."""
        given = task.get("inputs", {})
        definitions = component.get("inputDefinitions", {}).get("parameters", {})
        parameters: dict[str, Any] = {}
        if "dag" in component:
            # Omitted optional inputs of a nested pipeline.
            for key, spec in definitions.items():
                if key not in given.get("parameters", {}) and spec.get("isOptional"):
                    parameters[key] = spec.get("defaultValue")
        for key, spec in given.get("parameters", {}).items():
            found = self.parameter(spec, name, task, dag)
            if found is NULL:
                if not definitions.get(key, {}).get("isOptional"):
                    raise LauncherError(f"the resolved input parameter is null: {key}")
                continue
            if selector := spec.get("parameterExpressionSelector"):
                raise LauncherError(f"parameter {key}: the expression selector {selector} is not supported here")
            parameters[key] = found
        iterator = task.get("parameterIterator", {})
        for key, spec in definitions.items():
            if key == iterator.get("itemInput"):
                continue  # only an iteration has it
            if key not in parameters:
                if not spec.get("isOptional") and "defaultValue" not in spec:
                    raise LauncherError(f'neither value nor default value provided for non-optional parameter "{key}"')
                continue
            parameters[key] = self._checked(key, spec["parameterType"], parameters[key], "dag" in component)
        artifacts = {key: self.artifact(key, spec, dag) for key, spec in given.get("artifacts", {}).items()}
        return {
            "parameterValues": parameters,
            "artifacts": {key: {"artifacts": one} for key, one in artifacts.items()},
        }

    def _checked(self, key: str, kind: str, found: Any, nested: bool) -> Any:
        if found is None and nested:
            return None  # parametersSetNilByDriver
        if kind == "STRING" and not isinstance(found, str):
            return "" if found is None else json.dumps(found)  # PbValueToText
        if (isinstance(found, bool) and kind != "BOOLEAN") or not isinstance(found, TYPES[kind]):
            raise LauncherError(f'input parameter "{key}" type mismatch: expect {kind}, got {type(found).__name__}')
        return found

    def parameter(self, spec: dict[str, Any], name: str, task: dict[str, Any], dag: Execution) -> Any:
        """resolveInputParameter."""
        if key := spec.get("componentInputParameter"):
            if key not in dag.inputs:
                raise LauncherError(f"parent DAG does not have input parameter {key}")
            return NULL if dag.inputs[key] is None else dag.inputs[key]
        if output := spec.get("taskOutputParameter"):
            found = self._producers(output["producerTask"], output["outputParameterKey"], dag, "parameters")
            values = [producer.outputs.get(key) for producer, key in found]
            return values if _collects(dag, output["producerTask"]) else values[0]
        if "runtimeValue" in spec:
            # Whole values only, and no others: {{$.pipeline_root}} stays as it is.
            constant = value(spec["runtimeValue"]["constant"])
            known = {
                "{{$.pipeline_job_name}}": self.run.display_name,
                "{{$.pipeline_job_resource_name}}": self.run.name,
                "{{$.pipeline_job_uuid}}": self.run.id,
                "{{$.pipeline_task_name}}": name,
                "{{$.pipeline_task_uuid}}": str(dag.number),
            }
            return known.get(constant, constant) if isinstance(constant, str) else constant
        if "taskFinalStatus" in spec:
            producer = dag.children[task["dependentTasks"][0]]
            return {
                "state": producer.state,
                "pipelineTaskName": producer.task,
                "pipelineJobResourceName": self.run.name,
                "error": {},
            }
        raise LauncherError(f"parameter spec {spec} not implemented yet")

    def artifact(self, key: str, spec: dict[str, Any], dag: Execution) -> list[dict[str, Any]]:
        """resolveInputArtifact."""
        if name := spec.get("componentInputArtifact"):
            if name not in dag.artifacts:
                raise LauncherError(f"parent DAG does not have input artifact {name}")
            return dag.artifacts[name]
        output = spec["taskOutputArtifact"]
        found = self._producers(output["producerTask"], output["outputArtifactKey"], dag, "artifacts")
        for producer, name in found:
            if name not in producer.output_artifacts:
                raise LauncherError(f"cannot find output artifact key {name} in producer task {producer.task}")
        return [producer.output_artifacts[name].runtime() for producer, name in found]

    def _producers(self, task: str, key: str, dag: Execution, kind: str) -> list[tuple[Execution, str]]:
        """The tasks that made an output, below nested DAGs, one for each iteration of a loop: CollectInputs."""
        found = dag.children.get(task)
        if found is None:
            raise LauncherError(f"producer task, {task}, not in tasks")
        return list(_made(found, key, kind))

    def outputs(self, name: str, component: dict[str, Any], root: Path) -> dict[str, Any]:
        """provisionOutputs; files are below the pod's root instead of /.

        2.5.0 has /tmp/kfp_outputs/output_metadata.json as the output file, and no artifact's name.
        """
        definitions = component.get("outputDefinitions", {})
        artifacts = {
            **definitions.get("artifacts", {}),
            "executor-logs": {"artifactType": {"schemaTitle": "system.Artifact"}},
        }
        folder = f"{self.run.root}/{name}/{uuid.uuid4()}"
        return {
            "artifacts": {
                key: {"artifacts": [{"name": key, "uri": f"{folder}/{key}", "type": spec["artifactType"],
                                     **({"metadata": spec["metadata"]} if "metadata" in spec else {})}]}
                for key, spec in artifacts.items()
            },
            "parameters": {
                key: {"outputFile": str(root / f"tmp/kfp/outputs/{key}")} for key in definitions.get("parameters", {})
            },
            "outputFile": str(local_path(folder, root) / "output_metadata.json"),
        }  # fmt: skip

    def fingerprint(self, executor: dict[str, Any], component: dict[str, Any], container: dict[str, Any]) -> str:
        """GenerateCacheKey and GenerateFingerPrint in backend/src/v2/cacheutils/cache.go.

        Input artifacts are their numbers: what a task that is never cached writes is a new one in every run.
        """
        inputs, outputs = executor["inputs"], executor["outputs"]
        types = component.get("outputDefinitions", {}).get("parameters", {})
        key = {
            "inputArtifactNames": {
                name: [one["name"] for one in listed["artifacts"]] for name, listed in inputs["artifacts"].items()
            },
            "inputParameterValues": inputs["parameterValues"],
            "outputArtifactsSpec": {
                name: {part: one for part, one in listed["artifacts"][0].items() if part != "uri"}
                for name, listed in outputs["artifacts"].items()
            },
            "outputParametersSpec": {name: types[name]["parameterType"] for name in outputs["parameters"]},
            "containerSpec": {
                "image": container["image"],
                "cmdArgs": [*container.get("command", ()), *container.get("args", ())],
                "pvcNames": [],
            },
        }
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

    @staticmethod
    def words(container: dict[str, Any], inputs: dict[str, Any]) -> list[str]:
        """resolveContainerArgs, in the driver since 2.15."""

        def resolved(found: re.Match[str]) -> str:
            if found[1] not in inputs["parameterValues"]:
                raise LauncherError(f'parameter "{found[1]}" not found in executor input')
            given = inputs["parameterValues"][found[1]]
            return given if isinstance(given, str) else json.dumps(given)

        words = [*container.get("command", ()), *container.get("args", ())]
        return [word if "$.outputs" in word else PARAMETER.sub(resolved, word) for word in words]

    @staticmethod
    def triggers(task: dict[str, Any], inputs: dict[str, Any]) -> bool:
        """expr.Condition in backend/src/v2/expression/expression.go: CEL, of which comparisons are known here."""
        condition = task.get("triggerPolicy", {}).get("condition", "")
        if not condition:
            return True
        found = re.fullmatch(r"inputs\.parameter_values\['([^']+)'] (==|!=) (.+)", condition)
        if not found:
            raise LauncherError(f"the condition {condition} is not supported here")
        equal = inputs["parameterValues"][found[1]] == json.loads(found[3].replace("'", '"'))
        return equal if found[2] == "==" else not equal


def _collects(dag: Execution, task: str) -> bool:
    return dag.children[task].iterations is not None


def _made(execution: Execution, key: str, kind: str) -> Iterator[tuple[Execution, str]]:
    """GetProducerTask."""
    if execution.iterations is not None:
        for one in execution.iterations:
            yield from _made(one, key, kind)
    elif execution.is_dag:
        spec = execution.component["dag"].get("outputs", {}).get(kind, {})[key]
        selector = spec["artifactSelectors"][0] if kind == "artifacts" else spec["valueFromParameter"]
        key = selector["outputArtifactKey" if kind == "artifacts" else "outputParameterKey"]
        yield from _made(execution.children[selector["producerSubtask"]], key, kind)
    else:
        yield execution, key
