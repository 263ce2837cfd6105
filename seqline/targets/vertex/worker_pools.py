"""Worker pools of training jobs on Vertex: a TPU slice, GPUs, or a chief with workers.

Vertex trains TensorFlow on TPU v2, v3 and v5e. v2 and v3 are an accelerator of the machine type `cloud-tpu`; for v5e
the machine type gives the chips of one host and `tpu_topology` those of the slice.
"""

from typing import Any

from seqline.configuration.images import Images
from seqline.configuration.vertex import TpuSlice, TrainingJob
from seqline.errors import UserError

# TensorFlow needs these for a v5e: cloud.google.com/vertex-ai/docs/training/training-with-tpu-vm.
V5E_ENVIRONMENT = {
    "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
    "PJRT_DEVICE": "TPU",
    "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": "/lib/libtpu.so",
}
# Chips of a v5e host by the slice's topology; larger slices consist of hosts with four.
V5E_HOSTS = {"1x1": 1, "2x2": 4, "2x4": 8, "4x4": 4, "4x8": 4, "8x8": 4, "8x16": 4, "16x16": 4}


def machine_of(slice_: TpuSlice) -> dict[str, Any]:
    """The machine spec of a TPU slice.

    Args:
        slice_: Version and topology.

    Raises:
        UserError: If Vertex has no such slice.
    """
    if slice_.version != "v5e":
        return {
            "machine_type": "cloud-tpu",
            "accelerator_type": f"TPU_{slice_.version.upper()}",
            "accelerator_count": 8,
        }
    if slice_.topology not in V5E_HOSTS:
        raise UserError(
            f"targets.vertex.training.tpu.topology: there is no v5e slice {slice_.topology}; "
            f"there are: {', '.join(V5E_HOSTS)}"
        )
    return {"machine_type": f"ct5lp-hightpu-{V5E_HOSTS[slice_.topology]}t", "tpu_topology": slice_.topology}


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
            raise UserError("targets.vertex.training: the topology of a TPU slice sets its hosts; leave out replicas")
        machine = machine_of(job.tpu)
        environment = {**(V5E_ENVIRONMENT if job.tpu.version == "v5e" else {}), **environment}
    else:
        machine = {"machine_type": job.machine_type}
        if job.accelerator_type:
            machine |= {"accelerator_type": job.accelerator_type, "accelerator_count": job.accelerator_count or 1}
    # google-cloud-pipeline-components drops empty values, also those of variables.
    empty = sorted(name for name, value in environment.items() if not value)
    if empty:
        raise UserError(f"targets.vertex.training.environment: {', '.join(empty)} has no value, and would be lost")
    pool = {
        "machine_spec": machine,
        "replica_count": 1,
        "container_spec": {
            **container,
            "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        },
        "disk_spec": {"boot_disk_type": "pd-ssd", "boot_disk_size_gb": job.boot_disk_gb},
    }
    return [pool] if job.replicas == 1 else [pool, {**pool, "replica_count": job.replicas - 1}]


def trial_worker(job: TrainingJob, images: Images) -> dict[str, Any]:
    """The pool of one trial of tuning: machine and image of a training with one replica.

    Args:
        job: The configuration's `targets.vertex.training`.
        images: The configuration's `images`.
    """
    from seqline.components.train.component import train

    name = train.component_spec.implementation.container.image
    image = images.reference(name if job.tpu is None else name.replace("/train:", "/train-tpu:"))
    (pool,) = worker_pools(job.model_copy(update={"replicas": 1}), {"image_uri": image})
    return pool


def scheduling(job: TrainingJob) -> dict[str, Any]:
    """Time limit and strategy of a custom job.

    Spot machines are preempted at any time; then, and when one of several workers is lost, the whole job restarts and
    the trainer continues from its checkpoints.

    Args:
        job: The configuration's `targets.vertex.training`.
    """
    return {
        "timeout": f"{job.timeout}s",
        "strategy": "SPOT" if job.spot else "STANDARD",
        "restart_job_on_worker_restart": job.spot or job.replicas > 1,
    }
