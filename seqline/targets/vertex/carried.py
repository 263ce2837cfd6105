"""What every resource of a run carries: its key, its labels and its network, and its place in an Experiment.

The run itself and its custom job get them as fields of their requests. Here the rest of the placed spec gets them: the
tuning job, whose component of google-cloud-pipeline-components has no inputs for some of them, and the task deploy,
which uploads the model and creates the endpoint.
"""

import argparse
import json
import shlex
from collections.abc import Mapping
from typing import Any

from seqline.configuration.images import Images
from seqline.configuration.vertex import VertexTarget
from seqline.errors import UserError
from seqline.targets.vertex.worker_pools import scheduling

Spec = dict[str, Any]

TUNING = "google_cloud_pipeline_components.container.v1.hyperparameter_tuning_job.launcher"
TRIAL = ', "trial_job_spec": {'
RUN = "{{$.pipeline_job_resource_name}}"


def carry(spec: Spec, target: VertexTarget, images: Images) -> None:
    """Gives the tasks of a placed spec what the resources that they create carry.

    Args:
        spec: The spec to change.
        target: The configuration's `targets.vertex`.
        images: The configuration's `images`.
    """
    for executor in spec["deploymentSpec"]["executors"].values():
        container = executor.get("container", {})
        if TUNING in container.get("command", []):
            _complete_tuning(container["args"], target)
    cloud = {"encryption_key": target.encryption_key, "labels": dict(target.labels)}
    if any(cloud.values()):
        for task in _tasks(spec, "comp-deploy"):
            task.setdefault("inputs", {}).setdefault("parameters", {})["cloud"] = {"runtimeValue": {"constant": cloud}}
    for task in _tasks(spec, "comp-retrain"):
        task.setdefault("inputs", {}).setdefault("parameters", {})["run"] = {"runtimeValue": {"constant": RUN}}
    if target.experiment:
        _enter_experiment(spec, target, images)


def _complete_tuning(arguments: list[str], target: VertexTarget) -> None:
    """Adds to the request of a tuning job what its component has no inputs for."""
    index = arguments.index("--payload") + 1
    parts = json.loads(arguments[index])["Concat"]
    trial: dict[str, Any] = {}
    if target.training is not None:
        trial["scheduling"] = scheduling(target.training)
        if target.training.tensorboard:
            trial["tensorboard"] = target.training.tensorboard
    if target.psc_interface:
        trial["psc_interface_config"] = target.psc_interface
    if target.reserved_ip_ranges:
        trial["reserved_ip_ranges"] = list(target.reserved_ip_ranges)
    inner = "".join(f"{json.dumps(name)}: {json.dumps(value)}, " for name, value in trial.items())
    parts[parts.index(TRIAL)] = TRIAL + inner
    parts[-1] = f', "labels": {json.dumps(dict(target.labels))}' + parts[-1]
    arguments[index] = json.dumps({"Concat": parts})


def _enter_experiment(spec: Spec, target: VertexTarget, images: Images) -> None:
    """Adds the task experiment, which depends on nothing."""
    from google.protobuf import json_format

    from seqline.components.experiment.component import experiment

    compiled = json_format.MessageToDict(experiment.pipeline_spec)
    (component,) = compiled["components"].values()
    (executor,) = compiled["deploymentSpec"]["executors"].values()
    executor["container"]["image"] = images.reference(executor["container"]["image"])
    values = {"name": target.experiment, "run": RUN, "labels": dict(target.labels), "api_endpoint": target.api_address}
    spec["components"]["comp-experiment"] = {**component, "executorLabel": "exec-experiment"}
    spec["deploymentSpec"]["executors"]["exec-experiment"] = executor
    spec["root"]["dag"]["tasks"]["experiment"] = {
        "cachingOptions": {},
        "componentRef": {"name": "comp-experiment"},
        "inputs": {"parameters": {name: {"runtimeValue": {"constant": value}} for name, value in values.items()}},
        "taskInfo": {"name": "experiment"},
    }


def _tasks(spec: Spec, component: str) -> list[Spec]:
    dags = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    return [task for dag in dags for task in dag["tasks"].values() if task["componentRef"]["name"] == component]


def require_carried(arguments: Mapping[str, Any], target: VertexTarget) -> None:
    """Checks that a Dataflow job of a run's own flags carries the key and the labels too.

    Args:
        arguments: The run's parameters.
        target: The configuration's `targets.vertex`.

    Raises:
        UserError: If a flag is missing.
    """
    # As Beam reads them: apache_beam/options/pipeline_options.py.
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False, exit_on_error=False)
    parser.add_argument("--runner", default="")
    parser.add_argument("--dataflow_kms_key", default="")
    parser.add_argument("--label", "--labels", dest="labels", action="append", default=[])
    try:
        given, _ = parser.parse_known_args(shlex.split(str(arguments.get("beam_options", ""))))
    except (ValueError, argparse.ArgumentError):
        return  # the first task says what is wrong with the flags
    if not given.runner.lower().endswith("dataflowrunner"):
        return
    missing = [f"--labels={name}={value}" for name, value in sorted(target.labels.items())]
    missing = [flag for flag in missing if flag.partition("=")[2] not in _labels(given.labels)]
    if target.encryption_key != given.dataflow_kms_key and target.encryption_key:
        missing.insert(0, f"--dataflow_kms_key={target.encryption_key}")
    if missing:
        raise UserError(
            f"beam_options starts a Dataflow job without {' '.join(missing)}, which targets.vertex demands of every "
            "resource; add it, or use targets.vertex.dataflow, which does"
        )


def _labels(given: list[str]) -> set[str]:
    """Labels as name=value; Beam also takes an object of JSON."""
    return {label for text in given for label in _labels_of(text)}


def _labels_of(text: str) -> list[str]:
    try:
        return [f"{name}={value}" for name, value in json.loads(text).items()]
    except (ValueError, AttributeError):
        return [text]
