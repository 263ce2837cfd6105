"""Worker pools of training jobs on Vertex: a TPU slice, GPUs, or a chief with workers.

Vertex trains TensorFlow on TPU v2, v3 and v5e. v2 and v3 are an accelerator of the machine type `cloud-tpu`; for v5e
the machine type gives the chips of one host and `tpu_topology` those of the slice.
"""

from typing import Any

from seqline.accelerators import check_machine, gpus_of
from seqline.configuration.accelerators import GPU_MACHINES, Kind, image_with, kind_of
from seqline.configuration.images import Images
from seqline.configuration.vertex import TpuSlice, TrainingJob
from seqline.errors import UserError
from seqline.targets.vertex.tpu import TASK_TOPOLOGY

# TensorFlow needs these for a v5e: cloud.google.com/vertex-ai/docs/training/training-with-tpu-vm.
V5E_ENVIRONMENT = {
    "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
    "PJRT_DEVICE": "TPU",
    "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": "/lib/libtpu.so",
}
# Chips of the v5e slices of one host, and the larger slices, of hosts with four:
# cloud.google.com/vertex-ai/docs/training/configure-compute#tpu.
V5E_CHIPS = {"1x1": 1, "2x2": 4, "2x4": 8}
V5E_OF_SEVERAL_HOSTS = ("4x4", "4x8", "8x8", "8x16", "16x16")
# Machines that boot from Hyperdisk; Vertex itself selects that for them (DiskSpec in google.cloud.aiplatform_v1).
HYPERDISK = ("a3-ultragpu-", "a4-", "a4x-", "g4-")


def machine_of(slice_: TpuSlice) -> dict[str, Any]:
    """The machine spec of a TPU slice.

    Args:
        slice_: Version and topology.

    Raises:
        UserError: If Vertex has no such slice, or it has several hosts: the trainer uses the cores of one.
    """
    field = "targets.vertex.training.tpu.topology"
    if slice_.version != "v5e":
        if slice_.topology != TASK_TOPOLOGY:
            raise UserError(
                f"{field}: a {slice_.version} slice {slice_.topology} has several hosts, and training uses one: leave "
                "topology out for its eight cores"
            )
        return {
            "machine_type": "cloud-tpu",
            "accelerator_type": f"TPU_{slice_.version.upper()}",
            "accelerator_count": 8,
        }
    if slice_.topology not in V5E_CHIPS:
        several = slice_.topology in V5E_OF_SEVERAL_HOSTS
        problem = (
            f"a v5e slice {slice_.topology} has several hosts" if several else f"no v5e slice is {slice_.topology}"
        )
        raise UserError(f"{field}: {problem}; training uses one host: write {', '.join(V5E_CHIPS)}")
    return {"machine_type": f"ct5lp-hightpu-{V5E_CHIPS[slice_.topology]}t", "tpu_topology": slice_.topology}


def training_image(job: TrainingJob, images: Images) -> str:
    """Returns the image of train on a job's machine.

    Args:
        job: The configuration's `targets.vertex.training`.
        images: The configuration's `images`.
    """
    from seqline.components.train.component import train

    kind: Kind | None = "TPU" if job.tpu is not None else "GPU" if job.accelerator_type else None
    return images.reference(image_with(kind, "train", train.component_spec.implementation.container.image))


def worker_pools(job: TrainingJob, container: dict[str, Any]) -> list[dict[str, Any]]:
    """The pools of a custom job: the chief's, and the workers' if there are several replicas.

    Args:
        job: The configuration's `targets.vertex.training`.
        container: Image, command and arguments of the stage.

    Returns:
        The `worker_pool_specs` of `CustomTrainingJobOp`.

    Raises:
        UserError: If the settings exclude each other.
    """
    environment = dict(job.environment)
    if job.tpu is not None:
        if job.accelerator_type:
            raise UserError("targets.vertex.training: give tpu or accelerator_type, not both")
        if job.replicas > 1:
            raise UserError("targets.vertex.training: the topology of a TPU slice sets its hosts; omit replicas")
        machine = machine_of(job.tpu)
        environment = {**(V5E_ENVIRONMENT if job.tpu.version == "v5e" else {}), **environment}
    else:
        _check_gpus(job)
        machine = {"machine_type": job.machine_type}
        if job.accelerator_type:
            count = job.accelerator_count or gpus_of(job.machine_type) or 1
            machine |= {"accelerator_type": job.accelerator_type, "accelerator_count": count}
        machine |= reservation(job)
    # google-cloud-pipeline-components drops empty values, also those of variables.
    empty = sorted(name for name, value in environment.items() if not value)
    if empty:
        raise UserError(f"targets.vertex.training.environment: {', '.join(empty)} has no value, and would be dropped")
    disk_type = {} if machine["machine_type"].startswith(HYPERDISK) else {"boot_disk_type": "pd-ssd"}
    pool = {
        "machine_spec": machine,
        "replica_count": 1,
        "container_spec": {
            **container,
            "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        },
        "disk_spec": {**disk_type, "boot_disk_size_gb": job.boot_disk_gb},
    }
    return [pool] if job.replicas == 1 else [pool, {**pool, "replica_count": job.replicas - 1}]


def _check_gpus(job: TrainingJob) -> None:
    """Refuses settings of GPUs by which a job would train on its CPU."""
    field = "targets.vertex.training"
    try:
        kind = kind_of(job.accelerator_type)
    except UserError as error:
        raise UserError(f"{field}.accelerator_type: {error}") from None
    if kind == "TPU":
        raise UserError(
            f"{field}.accelerator_type: {job.accelerator_type} is a TPU; write tpu: {{version: v3}} instead"
        )
    if kind is None and job.accelerator_count:
        raise UserError(f"{field}.accelerator_count is {job.accelerator_count}, but accelerator_type is empty; set it")
    if kind is None and GPU_MACHINES.match(job.machine_type):
        raise UserError(
            f"{field}.machine_type: {job.machine_type} has GPUs, which must be named: set accelerator_type, such as "
            "NVIDIA_L4 for g2"
        )
    try:
        check_machine(job.machine_type, job.accelerator_type, job.accelerator_count)
    except UserError as error:
        raise UserError(f"{field}.{error}") from None


def reservation(job: TrainingJob) -> dict[str, Any]:
    """The reservation of a machine spec; empty for none.

    Args:
        job: The configuration's `targets.vertex.training`.
    """
    if not job.reservation:
        return {}
    if job.reservation == "any":
        return {"reservation_affinity": {"reservation_affinity_type": "ANY_RESERVATION"}}
    return {
        "reservation_affinity": {
            "reservation_affinity_type": "SPECIFIC_RESERVATION",
            "key": "compute.googleapis.com/reservation-name",
            "values": [job.reservation],
        }
    }


def trial_worker(job: TrainingJob, images: Images) -> dict[str, Any]:
    """The pool of one trial of tuning: machine and image of a training with one replica.

    Args:
        job: The configuration's `targets.vertex.training`.
        images: The configuration's `images`.
    """
    container = {"image_uri": training_image(job, images)}
    (pool,) = worker_pools(job.model_copy(update={"replicas": 1}), container)
    return pool


def scheduling(job: TrainingJob) -> dict[str, Any]:
    """Time limit and strategy of a custom job, as parameters of google-cloud-pipeline-components.

    Spot machines are preempted at any time; then, and when one of several workers is lost, the whole job restarts and
    the trainer continues from its checkpoints.

    Args:
        job: The configuration's `targets.vertex.training`.
    """
    return {
        "timeout": f"{job.timeout}s",
        "strategy": "SPOT" if job.spot else "FLEX_START" if job.flex_start else "STANDARD",
        **({"max_wait_duration": f"{job.max_wait}s"} if job.flex_start else {}),
        "restart_job_on_worker_restart": job.spot or job.replicas > 1,
    }
