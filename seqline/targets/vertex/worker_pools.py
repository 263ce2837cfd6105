"""Worker pools of the training job: what a TPU slice, GPUs or a chief with workers are to Vertex.

Vertex trains TensorFlow on TPU v2, v3 and v5e. v2 and v3 are an accelerator of the machine type `cloud-tpu`; of v5e the
machine type says the chips of one host and `tpu_topology` those of the slice.
"""

from typing import Any

from seqline.configuration.vertex import TpuSlice, TrainingJob
from seqline.errors import UserError

# What TensorFlow needs to find a v5e: cloud.google.com/vertex-ai/docs/training/training-with-tpu-vm.
V5E_ENVIRONMENT = {
    "NEXT_PLUGGABLE_DEVICE_USE_C_API": "true",
    "PJRT_DEVICE": "TPU",
    "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": "/lib/libtpu.so",
}
# Chips of a v5e host by the slice's topology; a larger slice is made of hosts with four.
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
    """The pools of a custom job: the chief's, and one of workers if there are several replicas.

    Args:
        job: What the configuration says about training.
        container: Image, command and arguments of the stage.

    Returns:
        What `CustomTrainingJobOp` takes as `worker_pool_specs`.

    Raises:
        UserError: If the settings exclude each other.
    """
    environment = dict(job.environment)
    if job.tpu is not None:
        if job.accelerator_type:
            raise UserError("targets.vertex.training: give tpu or accelerator_type, not both")
        if job.replicas > 1:
            raise UserError("targets.vertex.training: a TPU slice has its hosts by its topology; leave out replicas")
        machine = machine_of(job.tpu)
        environment = {**(V5E_ENVIRONMENT if job.tpu.version == "v5e" else {}), **environment}
    else:
        machine = {"machine_type": job.machine_type}
        if job.accelerator_type:
            machine |= {"accelerator_type": job.accelerator_type, "accelerator_count": job.accelerator_count or 1}
    # google-cloud-pipeline-components drops what is empty, a variable's empty value too.
    empty = sorted(name for name, value in environment.items() if not value)
    if empty:
        raise UserError(f"targets.vertex.training.environment: {', '.join(empty)} has no value, and would get lost")
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


def scheduling(job: TrainingJob) -> dict[str, Any]:
    """Time limit and strategy of a custom job.

    Spot machines are taken away at any time; then, and when one of several workers is lost, the whole job is started
    again, and the trainer continues from its checkpoints.

    Args:
        job: What the configuration says about training.
    """
    return {
        "timeout": f"{job.timeout}s",
        "strategy": "SPOT" if job.spot else "STANDARD",
        "restart_job_on_worker_restart": job.spot or job.replicas > 1,
    }
