"""Accelerators by the names that Vertex and Kubernetes give them, and the images that have libraries for them."""

import re
from typing import Literal

from seqline.errors import UserError

Kind = Literal["GPU", "TPU"]

# By stage: only these compute on the accelerator. Every other image has TensorFlow for CPUs, or none.
IMAGES: dict[Kind, dict[str, str]] = {
    "GPU": dict.fromkeys(("train", "tune", "export", "baseline", "evaluate", "infer"), "train-gpu"),
    "TPU": dict.fromkeys(("train", "tune"), "train-tpu"),
}
CPU_SERVING, SERVING = "serve", "serve-gpu"
# cloud.google.com/vertex-ai/docs/training/configure-compute: these machine types have GPUs, which are named as well.
GPU_MACHINES = re.compile(r"(a2|a3|a4|a4x|g2|g4)-")


def accelerated_images() -> set[str]:
    """Returns the names of the images with libraries for an accelerator."""
    return {SERVING, *(image for stages in IMAGES.values() for image in stages.values())}


def kind_of(accelerator: str) -> Kind | None:
    """Returns what an accelerator is; None for none.

    Args:
        accelerator: A type on Vertex, such as NVIDIA_L4 or TPU_V3, or a resource of Kubernetes, such as nvidia.com/gpu
            or google.com/tpu; empty for none.

    Raises:
        UserError: If no image has libraries for it.
    """
    name = accelerator.lower()
    if not name:
        return None
    if name.startswith(("nvidia_", "nvidia.com/")):
        return "GPU"
    if name.startswith(("tpu_", "google.com/tpu")):
        return "TPU"
    raise UserError(
        f"no image has libraries for {accelerator!r}; write an NVIDIA GPU, such as NVIDIA_L4 on Vertex or "
        "nvidia.com/gpu on Kubeflow, or a TPU, such as TPU_V3 or google.com/tpu"
    )


def image_with(kind: Kind | None, stage: str, image: str) -> str:
    """Returns the image of a stage that has libraries for an accelerator.

    Args:
        kind: The accelerator; None for none.
        stage: The stage's name, such as `train`.
        image: The image in the stage's contract, such as `seqline/train:0.1.0`.

    Raises:
        UserError: If the stage does not compute on it.
    """
    if kind is None:
        return image
    if stage not in IMAGES[kind]:
        raise UserError(f"{stage} does not compute on a {kind}; these do: {', '.join(IMAGES[kind])}")
    return _renamed(image, IMAGES[kind][stage])


def serving_image(accelerator: str, image: str) -> str:
    """Returns the image of the model server for an endpoint's machines.

    Args:
        accelerator: The configuration's `serving.accelerator_type`; one that cannot serve is refused with the options.
        image: The image for CPUs in the contract of deploy.
    """
    return _renamed(image, SERVING) if accelerator else image


def _renamed(image: str, name: str) -> str:
    return re.sub(r"/[a-z-]+(?=:)", f"/{name}", image)
