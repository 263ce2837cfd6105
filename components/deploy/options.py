"""Options of the deploy stage."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from seqline.accelerators import MACHINES, check_machine
from seqline.schema.options import BaseOptions, refusing


class Cloud(BaseOptions):
    """What every resource on Vertex AI has; targets.vertex sets it."""

    encryption_key: str = Field(
        "",
        pattern=r"^(projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+)?$",
        description="Customer-managed key, as projects/P/locations/L/keyRings/R/cryptoKeys/K; empty for Google's own.",
    )
    labels: dict[str, str] = Field({}, description="Labels of the endpoint and the registered versions.")


class Options(BaseOptions):
    """How a version goes live, and what serves it."""

    port: int = Field(8501, ge=1, le=65535, description="Port of a local endpoint's server that is not running yet.")
    traffic_steps: list[int] = Field(
        [10, 50], description="Percentages of the traffic that a new version gets in turn before 100."
    )
    max_latency_ms: float = Field(
        0.0, ge=0, description="Highest median latency of the smoke requests in milliseconds; 0 for no limit."
    )
    image: str = Field("", description="Serving image on Vertex AI, by digest.")
    machine_type: str = Field("n1-standard-4", min_length=1, description="Machine type of each replica on Vertex AI.")
    min_replicas: int = Field(1, ge=1, description="Minimum number of replicas on Vertex AI.")
    max_replicas: int = Field(1, ge=1, description="Maximum number of replicas on Vertex AI.")
    accelerator_type: str = Field(
        "", description="GPU of each replica on Vertex AI, such as NVIDIA_L4; empty for none."
    )
    accelerator_count: int = Field(
        0, ge=0, le=16, description="Number of GPUs of each replica; 0 for those of the machine type."
    )
    target_utilization: int = Field(
        60,
        ge=1,
        le=100,
        description="Utilization of CPUs and GPUs in percent above which Vertex AI adds replicas, and below which it "
        "removes them.",
    )
    spot: bool = Field(
        False, description="Whether the replicas on Vertex AI are spot machines, which can be preempted."
    )
    service_account: str = Field(
        "", description="Service account of the server on Vertex AI; empty for the project's default."
    )
    endpoint_type: Literal["auto", "dedicated", "shared", "private"] = Field(
        "auto",
        description="Type of an endpoint on Vertex AI: dedicated (its own DNS name), shared (the region's domain) or "
        "private (Private Service Connect); auto is dedicated for a new one, and an existing one keeps its type.",
    )
    request_timeout: int = Field(
        0,
        ge=0,
        le=3600,
        description="Time limit of a request in seconds on a dedicated or private endpoint; 0 for 10 minutes on a new "
        "endpoint, and an existing one keeps its limit.",
    )
    log_requests: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the requests that Vertex AI logs to BigQuery with their responses; 0 ends the log that "
        "this option has started, and leaves another one.",
    )
    log_table: str = Field(
        "",
        pattern=r"^(bq://[a-z][a-z0-9.:-]*[a-z0-9]\.\w+(\.\w+)?)?$",
        description="BigQuery table of this log, as bq://PROJECT.DATASET.TABLE; empty for a new data set.",
    )
    private_projects: list[str] = Field(
        [], description="Projects that may connect to a private endpoint, besides its own."
    )
    private_network: str = Field(
        "",
        pattern=r"^(projects/[^/\s]+/global/networks/[^/\s]+)?$",
        description="Network in which Vertex AI creates the address of a private endpoint, as "
        "projects/P/global/networks/NAME.",
    )
    private_address: str = Field(
        "",
        pattern=r"^[\w.:-]*$",
        description="IP address or DNS name of a private endpoint's forwarding rule; empty for the one in "
        "private_network.",
    )

    @field_validator("traffic_steps")
    @classmethod
    def _check_steps(cls, steps: list[int]) -> list[int]:
        if any(not 0 < share < 100 for share in steps) or sorted(set(steps)) != steps:
            raise ValueError(f"the percentages must rise and lie between 0 and 100, as in [10, 50]; {steps} do not")
        return steps

    @model_validator(mode="after")
    def _check_machine(self) -> "Options":
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas is {self.max_replicas}, below min_replicas, {self.min_replicas}; raise it")
        if self.accelerator_count and not self.accelerator_type:
            raise ValueError("accelerator_count is set, but not accelerator_type; name the GPU, such as NVIDIA_L4")
        if self.accelerator_type and self.accelerator_type not in MACHINES:
            raise ValueError(
                f"accelerator_type: Vertex AI serves on no {self.accelerator_type!r}; there are: {', '.join(MACHINES)}"
            )
        with refusing():
            check_machine(self.machine_type, self.accelerator_type, self.accelerator_count)
        return self

    @model_validator(mode="after")
    def _check_image(self) -> "Options":
        name = re.split("[:@]", self.image.rpartition("/")[2])[0]
        if self.accelerator_type and name == "serve":
            raise ValueError(
                f"image: {self.image} is for CPUs, and accelerator_type is {self.accelerator_type}; set image to "
                "serve-gpu of the same version"
            )
        if name == "serve-gpu" and not self.accelerator_type:
            raise ValueError(
                f"image: {self.image} is for GPUs, and accelerator_type is empty; name the GPU, or set image to "
                "serve of the same version"
            )
        return self

    @model_validator(mode="after")
    def _check_access(self) -> "Options":
        for name, types in (
            ("private_projects", ["private"]),
            ("private_network", ["private"]),
            ("private_address", ["private", "auto"]),
        ):
            if getattr(self, name) and self.endpoint_type not in types:
                raise ValueError(f"{name} is for endpoint_type: private, not for {self.endpoint_type}")
        if self.request_timeout and self.endpoint_type == "shared":
            raise ValueError(
                "request_timeout: requests to a shared endpoint have a time limit of 60 s; use endpoint_type: dedicated"
            )
        if self.log_table and not self.log_requests:
            raise ValueError(
                "log_table is set, but log_requests is 0; set the share of the requests to log, such as 0.1"
            )
        return self
