"""Options of the deploy stage."""

from pydantic import Field, field_validator

from seqline.schema.options import BaseOptions


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
    max_replicas: int = Field(1, ge=1, description="Maximum number of replicas on Vertex AI.")
    service_account: str = Field(
        "", description="Service account of the server on Vertex AI; empty for the project's default."
    )

    @field_validator("traffic_steps")
    @classmethod
    def _check_steps(cls, steps: list[int]) -> list[int]:
        if any(not 0 < share < 100 for share in steps) or sorted(set(steps)) != steps:
            raise ValueError(f"the percentages must rise and lie between 0 and 100, as in [10, 50]; {steps} do not")
        return steps
