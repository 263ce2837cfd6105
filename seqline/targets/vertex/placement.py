"""Changes of the portable spec for Vertex.

The spec is a plain dictionary, as in its YAML. Each function changes one thing: training becomes a custom job,
tokenizing runs on Dataflow, an e-mail is sent when the run ends, an evaluation is imported into the Model Registry, and
deploy's outputs get the types of lineage. Without any of these in the configuration, the spec is unchanged.
"""

import copy
from collections.abc import Mapping
from typing import Any

from seqline.configuration.accelerators import IMAGES
from seqline.configuration.images import Images
from seqline.configuration.vertex import Dataflow, TrainingJob, VertexTarget
from seqline.errors import UserError
from seqline.targets.vertex.evaluations import import_evaluation
from seqline.targets.vertex.tpu import check_task, slice_name

Spec = dict[str, Any]

# Types in the registry of google-cloud-pipeline-components.
LINEAGE = {"vertex_model": "google.VertexModel", "vertex_endpoint": "google.VertexEndpoint"}
PROJECT, REGION = "{{$.pipeline_google_cloud_project_id}}", "{{$.pipeline_google_cloud_location}}"
ROOT, JOB = "{{$.pipeline_root}}", "{{$.pipeline_job_name}}"
# Inside a payload of JSON, the executor's input is escaped once more.
EXECUTOR, ESCAPED_EXECUTOR = "{{$}}", "{{$.json_escape[1]}}"


def place(spec: Spec, target: VertexTarget, images: Images = Images()) -> Spec:  # noqa: B008 (frozen)
    """Places a portable spec on Vertex.

    Args:
        spec: The portable spec.
        target: The configuration's `targets.vertex`.
        images: The configuration's `images`.

    Returns:
        A new spec; a setting of a stage that the pipeline does not have changes nothing.
    """
    spec = copy.deepcopy(spec)
    if target.training is None:
        _check_tpus(spec)
    tpu = slice_name(target.training, _accelerator(spec))
    if tpu:
        add_preflight(spec, tpu, images)
    if target.training is not None:
        place_training(spec, target.training, target, images)
    if target.dataflow is not None:
        place_dataflow(spec, target.dataflow, target)
    if target.notify:
        add_notification(spec, target.notify)
    if target.import_evaluation:
        import_evaluation(spec)
    # Only in a spec that is specific to Vertex anyway: the portable one is the same everywhere.
    if target.training or target.dataflow or target.notify or target.import_evaluation:
        for component in _components(spec, "deploy"):
            _type_lineage(component)
    return spec


def _check_tpus(spec: Spec) -> None:
    """Refuses tasks with a TPU of several hosts, or of a version that a task cannot have."""
    for stage in IMAGES["TPU"]:
        for component in _components(spec, stage):
            container = _container(spec, component)
            if _accelerator_of(container):
                check_task(stage, _accelerator_of(container), _accelerators(container))


def _accelerator(spec: Spec) -> str:
    """The accelerator of train, such as TPU_V3; empty for none."""
    found = (_accelerator_of(_container(spec, component)) for component in _components(spec, "train"))
    return next(filter(None, found), "")


def _accelerator_of(container: Spec) -> str:
    kind = container.get("resources", {}).get("accelerator", {})
    return str(kind.get("resourceType", kind.get("type", "")))


def _accelerators(container: Spec) -> int:
    kind = container.get("resources", {}).get("accelerator", {})
    return int(kind.get("resourceCount", kind.get("count", 0)))


def _container(spec: Spec, component: Spec) -> Spec:
    container: Spec = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    return container


def add_preflight(spec: Spec, tpu: str, images: Images) -> None:
    """Adds the task preflight, which runs on a CPU, before every task that trains, with its inputs of the same names.

    Args:
        spec: The spec to change.
        tpu: The slice.
        images: The configuration's `images`.
    """
    from google.protobuf import json_format

    from seqline.components.train.preflight.component import preflight

    compiled = json_format.MessageToDict(preflight.pipeline_spec)
    (component,) = compiled["components"].values()
    (executor,) = compiled["deploymentSpec"]["executors"].values()
    container = executor["container"]
    container["image"] = images.reference(container["image"])
    # Enough to compile preset base; with less the compiler is slower.
    container["resources"] = {
        "cpuRequest": 4.0, "cpuLimit": 4.0, "resourceCpuRequest": "4", "resourceCpuLimit": "4",
        "memoryRequest": 16.0, "memoryLimit": 16.0, "resourceMemoryRequest": "16G", "resourceMemoryLimit": "16G",
    }  # fmt: skip
    dags = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    names = component["inputDefinitions"]["parameters"]
    for dag in dags:
        for name, task in list(dag["tasks"].items()):
            if _stage(task["componentRef"]["name"]) != "train":
                continue
            inputs = copy.deepcopy(task["inputs"])
            inputs["parameters"] = {key: value for key, value in inputs["parameters"].items() if key in names}
            inputs["parameters"]["tpu"] = {"runtimeValue": {"constant": tpu}}
            added = name.replace("train", "preflight")
            dag["tasks"][added] = {
                "cachingOptions": {"enableCache": True},
                "componentRef": {"name": "comp-preflight"},
                "dependentTasks": list(task.get("dependentTasks", [])),
                "inputs": inputs,
                "taskInfo": {"name": added},
            }
            task["dependentTasks"] = sorted([*task.get("dependentTasks", []), added])
            spec["components"]["comp-preflight"] = {**component, "executorLabel": "exec-preflight"}
            spec["deploymentSpec"]["executors"]["exec-preflight"] = executor


def place_training(spec: Spec, job: TrainingJob, target: VertexTarget, images: Images) -> None:
    """Turns every task of the train stage into a custom job, launched by google-cloud-pipeline-components."""
    from google.protobuf import json_format
    from google_cloud_pipeline_components.v1.custom_job import CustomTrainingJobOp

    from seqline.targets.vertex.worker_pools import scheduling, training_image, worker_pools

    launcher = json_format.MessageToDict(CustomTrainingJobOp.pipeline_spec)
    (wrapper,) = launcher["components"].values()
    (launch,) = launcher["deploymentSpec"]["executors"].values()
    executors = spec["deploymentSpec"]["executors"]
    for component in _components(spec, "train"):
        container = _container(spec, component)
        run = {
            "image_uri": training_image(job, images),
            "command": [_escaped(word) for word in container.get("command", [])],
            "args": [_escaped(word) for word in container.get("args", [])],
        }
        defaults = {
            "display_name": "train",
            "worker_pool_specs": worker_pools(job, run),
            "service_account": target.service_account,
            "network": target.network,
            "reserved_ip_ranges": list(target.reserved_ip_ranges),
            "psc_interface_config": target.psc_interface,
            "tensorboard": job.tensorboard,
            # Sets AIP_TENSORBOARD_LOG_DIR, from which Vertex uploads the logs.
            "base_output_directory": f"{ROOT}/{JOB}/tensorboard" if job.tensorboard else "",
            "encryption_spec_key_name": target.encryption_key,
            "labels": dict(target.labels),
            **scheduling(job),
        }
        inputs, outputs = component.setdefault("inputDefinitions", {}), component.setdefault("outputDefinitions", {})
        added = copy.deepcopy(wrapper["inputDefinitions"]["parameters"])
        for parameter, value in defaults.items():
            added[parameter] |= {"defaultValue": value, "isOptional": True}
        _reject_clash(added, inputs.get("parameters", {}))
        inputs["parameters"] = {**inputs.get("parameters", {}), **added}
        outputs["parameters"] = {**outputs.get("parameters", {}), **wrapper["outputDefinitions"]["parameters"]}
        # The launcher itself only waits: the stage's resources are those of the job's machines.
        executors[component["executorLabel"]] = copy.deepcopy(launch)


def _escaped(word: str) -> str:
    return ESCAPED_EXECUTOR if word == EXECUTOR else word


def _reject_clash(added: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    """Rejects inputs of the stage with the name of an input of the custom job, which would replace them silently."""
    clash = sorted(set(added) & set(present))
    if clash:
        raise UserError(f"train: {', '.join(clash)} is a parameter of the stage and of Vertex's custom job; rename it")


def place_dataflow(spec: Spec, dataflow: Dataflow, target: VertexTarget) -> None:
    """Sets tokenize's flags for Beam on Dataflow, in tokenize's own image."""
    for task in _tasks(spec, "tokenize"):
        component = spec["components"][task["componentRef"]["name"]]
        image = _container(spec, component)["image"]
        if "beam_options" not in component["inputDefinitions"]["parameters"]:
            raise UserError("targets.vertex.dataflow: this pipeline's tokenize stage has no beam_options")
        value = {"runtimeValue": {"constant": " ".join(dataflow_flags(dataflow, target, image))}}
        task.setdefault("inputs", {}).setdefault("parameters", {})["beam_options"] = value


def dataflow_flags(dataflow: Dataflow, target: VertexTarget, image: str) -> list[str]:
    """Beam's flags; project, region and bucket are those of the run, so that the same spec runs in other projects.

    Args:
        dataflow: The configuration's `targets.vertex.dataflow`.
        target: The configuration's `targets.vertex`.
        image: Tokenize's image, which the workers use too.
    """
    flags = {
        "runner": "DataflowRunner",
        "project": PROJECT,
        "region": REGION,
        "temp_location": f"{ROOT}/dataflow/temp",
        "staging_location": f"{ROOT}/dataflow/staging",
        "sdk_container_image": image,
        "sdk_location": "container",
        "max_num_workers": str(dataflow.max_workers),
        "worker_machine_type": dataflow.machine_type,
        "service_account_email": dataflow.service_account or target.service_account,
        "network": dataflow.network,
        "subnetwork": dataflow.subnetwork,
        "dataflow_kms_key": target.encryption_key,
    }
    words = [f"--{name}={value}" for name, value in flags.items() if value]
    words += ["--no_use_public_ips"] if not dataflow.public_ips else []
    return words + [f"--labels={name}={value}" for name, value in sorted(target.labels.items())]


def add_notification(spec: Spec, recipients: list[str]) -> None:
    """Adds an exit task that sends an e-mail with the run's final state, next to the pipeline's own exit task."""
    from google.protobuf import json_format
    from google_cloud_pipeline_components.v1.vertex_notification_email import VertexNotificationEmailOp

    notification = json_format.MessageToDict(VertexNotificationEmailOp.pipeline_spec)
    (component,) = notification["components"].values()
    (executor,) = notification["deploymentSpec"]["executors"].values()
    handled = _handled(spec)
    spec["components"]["comp-notify"] = {**component, "executorLabel": "exec-notify"}
    spec["deploymentSpec"]["executors"]["exec-notify"] = executor
    spec["root"]["dag"]["tasks"]["notify"] = {
        "cachingOptions": {},
        "componentRef": {"name": "comp-notify"},
        "dependentTasks": [handled],
        "inputs": {
            "parameters": {
                "pipeline_task_final_status": {"taskFinalStatus": {"producerTask": handled}},
                "recipients": {"runtimeValue": {"constant": list(recipients)}},
            }
        },
        "taskInfo": {"name": "notify"},
        "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    }


def _handled(spec: Spec) -> str:
    """The group with all other tasks: the one that the pipeline's own exit task waits for."""
    waited = (task["dependentTasks"][0] for task in spec["root"]["dag"]["tasks"].values() if "triggerPolicy" in task)
    return str(next(waited))


def _type_lineage(component: Spec) -> None:
    """Sets the types of deploy's outputs to those of models and endpoints in Vertex ML Metadata."""
    for name, output in component.get("outputDefinitions", {}).get("artifacts", {}).items():
        if name in LINEAGE:
            output["artifactType"] = {"schemaTitle": LINEAGE[name], "schemaVersion": "0.0.1"}


def _components(spec: Spec, stage: str) -> list[Spec]:
    """The components of a stage; kfp numbers variants."""
    return [component for name, component in spec["components"].items() if _stage(name) == stage]


def _tasks(spec: Spec, stage: str) -> list[Spec]:
    """The tasks of a stage, in every group."""
    dags = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    return [task for dag in dags for task in dag["tasks"].values() if _stage(task["componentRef"]["name"]) == stage]


def _stage(component: str) -> str:
    return component.removeprefix("comp-").rstrip("-0123456789")
