"""The accelerator that a stage's image is for."""

import os
from pathlib import Path

from seqline.errors import UserError

# Set in the images with libraries for an accelerator: GPU or TPU. An image is chosen by the accelerator that the
# configuration requests, so in such an image it must be there.
REQUIRED = "SEQLINE_ACCELERATOR"
DRIVER = Path("/proc/driver/nvidia/version")


def required_accelerator() -> str:
    """Returns what the image of this process is for: GPU, TPU, or empty for a CPU."""
    return os.environ.get(REQUIRED, "")


def require_gpu() -> None:
    """Checks that TensorFlow sees a GPU if this process runs in an image for GPUs: it would use the CPU silently.

    Raises:
        UserError: If it sees none.
    """
    if required_accelerator() == "GPU" and not visible_gpus():
        raise UserError(
            f"this image is for GPUs, but {no_gpu()}; request a GPU for the task, or use the image for CPUs"
        )


def visible_gpus() -> int:
    """Returns the number of GPUs that TensorFlow can use. It does not start them, so a strategy can be made later."""
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def no_gpu() -> str:
    """Returns why TensorFlow sees no GPU, as far as this process can tell."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    if not DRIVER.exists():
        return "this machine has no NVIDIA driver"
    import tensorflow as tf

    if not tf.test.is_built_with_cuda():
        return f"TensorFlow {tf.__version__} here is built for CPUs"
    return "TensorFlow cannot load CUDA, although there is a driver; its log, with TF_CPP_MIN_LOG_LEVEL=0, says why"
