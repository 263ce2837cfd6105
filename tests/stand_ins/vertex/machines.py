"""Machines of deployed models and jobs: what Vertex refuses."""

from typing import Any

from google.cloud.aiplatform_v1 import types

from tests.stand_ins.server import ApiError

# docs.cloud.google.com/vertex-ai/docs/predictions/configure-compute: machine types by GPU.
FAMILIES = {
    "NVIDIA_TESLA_P4": "n1-", "NVIDIA_TESLA_P100": "n1-", "NVIDIA_TESLA_V100": "n1-", "NVIDIA_TESLA_T4": "n1-",
    "NVIDIA_L4": "g2-", "NVIDIA_TESLA_A100": "a2-highgpu-", "NVIDIA_A100_80GB": "a2-ultragpu-",
    "NVIDIA_H100_80GB": "a3-highgpu-", "NVIDIA_H100_MEGA_80GB": "a3-megagpu-", "NVIDIA_H200_141GB": "a3-ultragpu-",
    "NVIDIA_B200": "a4-highgpu-",
}  # fmt: skip
# aiplatform_v1/types/machine_resources.py, AutoscalingMetricSpec.metric_name.
METRICS = {
    f"aiplatform.googleapis.com/prediction/online/{name}"
    for name in ("accelerator/duty_cycle", "cpu/utilization", "request_count")
}
# docs.cloud.google.com/vertex-ai/docs/training/schedule-jobs-dws: "Requirements".
QUEUED = ("NVIDIA_L4", "NVIDIA_TESLA_A100", "NVIDIA_A100_80GB", "NVIDIA_H100", "NVIDIA_H200", "NVIDIA_B200")
WEEK = 7 * 24 * 3600


def check_resources(deployed: types.DeployedModel) -> None:
    """Refuses resources of a deployed model that there are not.

    Raises:
        ApiError: 400 naming the field.
    """
    resources = deployed.dedicated_resources
    if not resources:
        if not deployed.automatic_resources:
            raise ApiError(400, "deployed_model: dedicated_resources or automatic_resources must be set")
        return
    where = "deployed_model.dedicated_resources"
    if not resources.machine_spec.machine_type:
        raise ApiError(400, f"Required field is not set: {where}.machine_spec.machine_type")
    # types/machine_resources.py, min_replica_count: "must be greater than or equal to 1".
    if not resources.min_replica_count:
        raise ApiError(400, f"Required field is not set: {where}.min_replica_count")
    if resources.max_replica_count and resources.max_replica_count < resources.min_replica_count:
        raise ApiError(400, f"{where}: max_replica_count is below min_replica_count")
    check_accelerator(resources.machine_spec)
    seen = [spec.metric_name for spec in resources.autoscaling_metric_specs]
    # types/machine_resources.py, autoscaling_metric_specs: "At most one entry is allowed per metric".
    if len(set(seen)) < len(seen) or set(seen) - METRICS:
        raise ApiError(400, f"{where}.autoscaling_metric_specs: invalid metrics {seen}")
    if any("duty_cycle" in name for name in seen) and not resources.machine_spec.accelerator_count:
        raise ApiError(400, f"{where}.autoscaling_metric_specs: there is no accelerator to measure")
    if any(not 1 <= spec.target <= 100 for spec in resources.autoscaling_metric_specs):
        raise ApiError(400, f"{where}.autoscaling_metric_specs: target must be 1 to 100")


def check_accelerator(machine: types.MachineSpec) -> None:
    """Refuses a GPU that the machine type does not have.

    Raises:
        ApiError: 400 if it does not.
    """
    kind = machine.accelerator_type.name
    if machine.accelerator_type and not machine.accelerator_count:
        raise ApiError(400, "machine_spec.accelerator_count must be at least 1")
    if not machine.machine_type.startswith(FAMILIES.get(kind, "")):
        raise ApiError(400, f"Accelerator {kind} is not supported with machine type {machine.machine_type}")
    # docs.cloud.google.com/compute/docs/gpus: an accelerator-optimized machine type has its number of GPUs.
    size = machine.machine_type.rpartition("-")[2]
    known = {"24": 2, "48": 4, "96": 8}.get(size, 1) if machine.machine_type.startswith("g2-standard-") else 0
    known = int(size[:-1]) if size[:-1].isdecimal() and size.endswith("g") else known
    if kind in FAMILIES and known not in (0, machine.accelerator_count):
        raise ApiError(400, f"{machine.machine_type} has {known} accelerators, not {machine.accelerator_count}")


def check_reservation(machine: types.MachineSpec, scheduling: types.Scheduling) -> None:
    """Refuses a reservation that a job cannot consume.

    Raises:
        ApiError: 400 if it cannot.
    """
    affinity = machine.reservation_affinity
    if not affinity:
        return
    kind = affinity.reservation_affinity_type.name
    # types/reservation_affinity.py: required; key and values identify a specific one.
    if kind == "TYPE_UNSPECIFIED":
        raise ApiError(400, "Required field is not set: reservation_affinity.reservation_affinity_type")
    if kind == "SPECIFIC_RESERVATION" and not (affinity.key and affinity.values):
        raise ApiError(400, "reservation_affinity: a specific reservation needs key and values")
    # docs.cloud.google.com/vertex-ai/docs/predictions/use-reservations, "Limitations": GPUs only.
    if kind != "NO_RESERVATION" and not machine.accelerator_count:
        raise ApiError(400, "reservation_affinity: Vertex AI can only consume reservations of VMs that have GPUs")
    # docs.cloud.google.com/compute/docs/instances/reservations-overview, "Restrictions": not by spot VMs.
    if kind != "NO_RESERVATION" and scheduling.strategy.name in ("SPOT", "FLEX_START"):
        raise ApiError(400, f"reservation_affinity is not supported with strategy {scheduling.strategy.name}")


def check_scheduling(spec: Any) -> None:
    """Refuses a scheduling that a job's machines do not have.

    Raises:
        ApiError: 400 if they do not.
    """
    scheduling = spec.scheduling
    if scheduling.strategy.name != "FLEX_START":
        # google_cloud_pipeline_components/container/v1/custom_job/remote_runner.py: "max_wait_duration is acceptable
        # only when strategy is FLEX_START in CustomJob API".
        if scheduling.max_wait_duration:
            raise ApiError(400, "scheduling.max_wait_duration is only valid with strategy FLEX_START")
        return
    machines = [pool.machine_spec for pool in spec.worker_pool_specs]
    if any(machine != machines[0] for machine in machines):
        raise ApiError(400, "FLEX_START needs the same machine configuration in all worker pools")
    if not machines[0].accelerator_type.name.startswith(QUEUED):
        raise ApiError(400, "FLEX_START is only supported for L4, A100, H100, H200 and B200 GPUs")
    if scheduling.timeout and scheduling.timeout.total_seconds() > WEEK:
        raise ApiError(400, "FLEX_START: scheduling.timeout must be at most 7 days")


def check_tensorboard(spec: Any) -> None:
    """Refuses a TensorBoard without what its upload needs.

    Raises:
        ApiError: 400 if something is missing.
    """
    # docs.cloud.google.com/vertex-ai/docs/experiments/tensorboard-setup: "requires attaching a service account"; the
    # logs are uploaded from AIP_TENSORBOARD_LOG_DIR, which base_output_directory sets (types/custom_job.py).
    if spec.tensorboard and not spec.service_account:
        raise ApiError(400, "job_spec.service_account must be set with tensorboard")
    if spec.tensorboard and not spec.base_output_directory.output_uri_prefix:
        raise ApiError(400, "job_spec.base_output_directory must be set with tensorboard")
