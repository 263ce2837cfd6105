"""The resources that a stage requests."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from seqline.accelerators import api_name
from seqline.configuration.base import NUMBER, Model

RENAMED = {"accelerator": "accelerator_type", "accelerators": "accelerator_count"}


class Resources(Model):
    """Requests in the portable spec. Kubeflow and Vertex read them; a laptop does not."""

    cpu: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?m?$"), NUMBER] = ""
    """Cores, such as 8 or 500m; empty for the target's default."""
    memory: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?([EPTGMK]i?)?$"), NUMBER] = ""
    """Memory, such as 32G or 16Gi; empty for the target's default."""
    accelerator_type: Annotated[str, BeforeValidator(api_name)] = ""
    """Accelerator type, such as NVIDIA_TESLA_T4 or TPU_V3 on Vertex; a resource such as nvidia.com/gpu on Kubeflow. The
    stage runs in the image with libraries for it."""
    accelerator_count: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of accelerators."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """Number of retries after a failure."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_former_names(cls, values: Any) -> Any:
        found = [name for name in RENAMED if isinstance(values, dict) and name in values]
        if found:
            raise ValueError("; ".join(f"{name} is now called {RENAMED[name]}" for name in found))
        if isinstance(values, dict) and "timeout" in values:
            raise ValueError(
                "timeout had no effect; remove it, and set targets.vertex.training.timeout for training as a job on "
                "Vertex, or targets.kubeflow.pods.STAGE.active_deadline_seconds for a pod"
            )
        return values
