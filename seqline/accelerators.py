"""The accelerator that a stage's image is for, and the machine types of Google Cloud that have it."""

import logging
import os
import re
from pathlib import Path
from typing import Any

from seqline.errors import UserError

log = logging.getLogger(__name__)

# Set in the images with libraries for an accelerator: GPU or TPU. An image is chosen by the accelerator that the
# configuration requests, so in such an image it must be there.
REQUIRED = "SEQLINE_ACCELERATOR"
DRIVER = Path("/proc/driver/nvidia/version")
CPU_INFO = Path("/proc/cpuinfo")

# docs.cloud.google.com/vertex-ai/docs/predictions/configure-compute, and .../training/configure-compute.
MACHINES = {
    "NVIDIA_TESLA_P4": "n1-",
    "NVIDIA_TESLA_P100": "n1-",
    "NVIDIA_TESLA_V100": "n1-",
    "NVIDIA_TESLA_T4": "n1-",
    "NVIDIA_L4": "g2-standard-",
    "NVIDIA_RTX_PRO_6000": "g4-standard-",
    "NVIDIA_TESLA_A100": "a2-highgpu-",
    "NVIDIA_A100_80GB": "a2-ultragpu-",
    "NVIDIA_H100_80GB": "a3-highgpu-",
    "NVIDIA_H100_MEGA_80GB": "a3-megagpu-",
    "NVIDIA_H200_141GB": "a3-ultragpu-",
    "NVIDIA_B200": "a4-highgpu-",
}
"""Beginnings of the machine types by GPU."""


def multiplies_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16, with AVX512-BF16 or AMX."""
    try:
        flags = CPU_INFO.read_text(encoding="utf-8").partition("flags")[2].partition("\n")[0].split()
    except OSError:
        return False
    return bool({"avx512_bf16", "amx_bf16"} & set(flags))


def gpus_of(machine_type: str) -> int:
    """Returns the number of GPUs that a machine type has: docs.cloud.google.com/compute/docs/gpus; 0 for any number.

    Args:
        machine_type: The machine type, such as g2-standard-24 or a2-highgpu-4g.
    """
    family, _, size = machine_type.rpartition("-")
    if family == "g2-standard":
        return {"24": 2, "48": 4, "96": 8}.get(size, 1)
    number = re.fullmatch(r"(\d+)g", size)
    return int(number[1]) if number else 0


def check_machine(machine_type: str, gpu: str, count: int) -> None:
    """Checks that a machine type has GPUs, before a service refuses it.

    Args:
        machine_type: The machine type.
        gpu: The GPU; one that is not in `MACHINES` is not checked.
        count: Their number; 0 for those of the machine type.

    Raises:
        UserError: If it has not; the message begins with the option's name.
    """
    family, known = MACHINES.get(gpu, ""), gpus_of(machine_type)
    if not machine_type.startswith(family):
        raise UserError(f"machine_type: {machine_type} has no {gpu}; choose one that begins with {family}")
    if gpu and count and known not in (0, count):
        raise UserError(
            f"accelerator_count: {machine_type} has {known} {gpu}, not {count}; omit it, or choose another machine_type"
        )


def api_name(given: Any) -> Any:
    """Returns an accelerator by the name of Vertex's API, whose spelling is not that of gcloud and the console.

    Args:
        given: Such as NVIDIA_L4, nvidia-l4, Nvidia-Tesla-T4 or tpu-v3; anything else is returned unchanged.
    """
    if isinstance(given, str) and re.fullmatch(r"(?:nvidia|tpu)[-_][\w-]+", given, re.IGNORECASE):
        return given.upper().replace("-", "_")
    return given


def required_accelerator() -> str:
    """Returns what the image of this process is for: GPU, TPU, or empty for a CPU."""
    return os.environ.get(REQUIRED, "")


def require_gpu() -> None:
    """Checks that TensorFlow sees a GPU if this process runs in an image for GPUs: it would use the CPU silently.

    Elsewhere it logs if TensorFlow uses no GPU of a machine that has one.

    Raises:
        UserError: If it sees none.
    """
    required = required_accelerator() == "GPU"
    if not (required or DRIVER.exists()) or visible_gpus():
        return
    if required:
        raise UserError(
            f"this image is for GPUs, but {no_gpu()}; request a GPU for the task, or use the image for CPUs"
        )
    if not _hidden():
        log.warning("TensorFlow uses the CPU only: %s", no_gpu())


def visible_gpus() -> int:
    """Returns the number of GPUs that TensorFlow can use. It does not start them, so a strategy can be made later."""
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def no_gpu() -> str:
    """Returns why TensorFlow sees no GPU, as far as this process can tell."""
    if _hidden():
        return f"CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']} hides every GPU"
    if not DRIVER.exists():
        return "this machine has no NVIDIA driver"
    import tensorflow as tf

    if not tf.test.is_built_with_cuda():
        return f"TensorFlow {tf.__version__} is built for CPUs here, although there is an NVIDIA driver"
    return "TensorFlow cannot load CUDA, although there is a driver; its log, with TF_CPP_MIN_LOG_LEVEL=0, says why"


def _hidden() -> bool:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1")
