"""Imports a blessed version's evaluation into the Model Registry, with google-cloud-pipeline-components."""

import copy
from typing import Any

Spec = dict[str, Any]

METRICS, MODEL = "pipelinechannel--evaluate-metrics", "pipelinechannel--deploy-vertex_model"
# Whether deploy has registered the version there.
REGISTERED = "pipelinechannel--deploy-Output"
NAME = "import-evaluation"


def import_evaluation(spec: Spec) -> None:
    """Adds a task after deploy that imports the challenger's metrics into the registered version.

    It runs in its own group with a condition: without an endpoint, or with one on KServe, no version is registered. A
    pipeline without evaluate and deploy is unchanged.

    Args:
        spec: The placed spec; it is changed.
    """
    found = _deploying(spec)
    if found is None:
        return
    from google.protobuf import json_format
    from google_cloud_pipeline_components.preview.model_evaluation import ModelImportEvaluationOp

    importer = json_format.MessageToDict(ModelImportEvaluationOp.pipeline_spec)
    (component,) = importer["components"].values()
    (executor,) = importer["deploymentSpec"]["executors"].values()
    metrics = {"artifactType": {"schemaTitle": "system.Metrics", "schemaVersion": "0.0.1"}}
    model = copy.deepcopy(component["inputDefinitions"]["artifacts"]["model"])
    group, caller = found
    group["inputDefinitions"]["artifacts"][METRICS] = metrics
    caller["inputs"]["artifacts"][METRICS] = {
        "taskOutputArtifact": {"outputArtifactKey": "metrics", "producerTask": "evaluate"}
    }
    caller["dependentTasks"] = sorted({*caller.get("dependentTasks", []), "evaluate"})
    group["dag"]["tasks"][NAME] = {
        "componentRef": {"name": f"comp-{NAME}"},
        "dependentTasks": ["deploy"],
        "inputs": {
            "artifacts": {
                METRICS: {"componentInputArtifact": METRICS},
                MODEL: {"taskOutputArtifact": {"outputArtifactKey": "vertex_model", "producerTask": "deploy"}},
            },
            "parameters": {
                REGISTERED: {"taskOutputParameter": {"outputParameterKey": "Output", "producerTask": "deploy"}}
            },
        },
        "taskInfo": {"name": NAME},
        "triggerPolicy": {"condition": f"inputs.parameter_values['{REGISTERED}'] == true"},
    }
    call = {
        "cachingOptions": {},
        "componentRef": {"name": "comp-model-evaluation-import"},
        "inputs": {
            "artifacts": {
                "model": {"componentInputArtifact": MODEL},
                "text_generation_metrics": {"componentInputArtifact": METRICS},
            },
            "parameters": {"display_name": {"runtimeValue": {"constant": "seqline"}}},
        },
        "taskInfo": {"name": "model-evaluation-import"},
    }
    spec["components"][f"comp-{NAME}"] = {
        "dag": {"tasks": {"model-evaluation-import": call}},
        "inputDefinitions": {
            "artifacts": {METRICS: metrics, MODEL: model},
            "parameters": {REGISTERED: {"parameterType": "BOOLEAN"}},
        },
    }
    spec["components"]["comp-model-evaluation-import"] = {**component, "executorLabel": "exec-model-evaluation-import"}
    spec["deploymentSpec"]["executors"]["exec-model-evaluation-import"] = executor


def _deploying(spec: Spec) -> tuple[Spec, Spec] | None:
    """The group of tasks with deploy, and the task next to evaluate that runs the group."""
    dags = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    for dag in dags:
        for task in dag["tasks"].values() if "evaluate" in dag["tasks"] else ():
            group = spec["components"][task["componentRef"]["name"]]
            if "deploy" in group.get("dag", {}).get("tasks", {}):
                return group, task
    return None
