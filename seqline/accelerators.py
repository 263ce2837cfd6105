"""The accelerator that a stage's image is for."""

import logging
import os
from pathlib import Path

from seqline.errors import UserError

log = logging.getLogger(__name__)

# Set in the images with libraries for an accelerator: GPU or TPU. An image is chosen by the accelerator that the
# configuration requests, so in such an image it must be there.
REQUIRED = "SEQLINE_ACCELERATOR"
DRIVER = Path("/proc/driver/nvidia/version")


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
