"""What a stage asks for of the machine that runs it."""

from typing import Annotated

from pydantic import Field, StringConstraints

from seqline.configuration.base import Duration, Model


class Resources(Model):
    """Requests that are part of the portable spec: Kubeflow and Vertex read them, a laptop does not."""

    cpu: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?m?$")] = ""
    """Cores, such as 8 or 500m; empty for the target's default."""
    memory: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?([EPTGMK]i?)?$")] = ""
    """Such as 32G or 16Gi; empty for the target's default."""
    accelerator: str = ""
    """NVIDIA_TESLA_T4, NVIDIA_L4, TPU_V3 and so on on Vertex; a resource such as nvidia.com/gpu on Kubeflow."""
    accelerators: Annotated[int, Field(ge=1, le=16)] = 1
    """How many of them."""
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often the stage is started again after a failure."""
    timeout: Duration | None = None
    """Seconds after which a custom job is stopped; only for the stages that run as one."""
