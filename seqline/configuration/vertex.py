"""Vertex AI in the configuration."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from seqline.configuration.base import Duration, Labels, Model, ParameterValues

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class TpuSlice(Model):
    """A TPU slice. TensorFlow on Vertex runs on v2, v3 and v5e."""

    version: Literal["v2", "v3", "v5e"]
    """The chips' version."""
    topology: Annotated[str, StringConstraints(pattern=r"^\d+x\d+$")] = "2x2"
    """Chips of a v5e slice: 1x1, 2x2 or 2x4 on one host, 4x4 and more on several. v2 and v3 come as eight cores."""


class TrainingJob(Model):
    """Training as a custom job, in the place of a task of the pipeline."""

    machine_type: str = "n1-standard-8"
    """Of each replica; a TPU slice brings its own."""
    accelerator_type: str = ""
    """Such as NVIDIA_TESLA_T4 or NVIDIA_L4; empty for none."""
    accelerator_count: Annotated[int, Field(ge=0, le=16)] = 0
    """Per replica."""
    tpu: TpuSlice | None = None
    """A TPU slice in the place of machine and accelerators."""
    replicas: Annotated[int, Field(ge=1, le=256)] = 1
    """A chief and workers."""
    spot: bool = False
    """Whether it runs on spot machines, and starts again where it stopped when they are taken away."""
    timeout: Duration = 60 * 60 * 24
    """Seconds after which the job is stopped."""
    boot_disk_gb: Annotated[int, Field(ge=100, le=64000)] = 100
    """Size of the boot disk."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables of the process."""


class Dataflow(Model):
    """Tokenizing on Dataflow, in the place of one process in the task."""

    machine_type: str = ""
    """Of the workers; Dataflow's choice by default."""
    max_workers: Annotated[int, Field(ge=1, le=4000)] = 10
    """At most."""
    service_account: str = ""
    """Of the workers; the target's by default."""
    network: str = ""
    """Their network; the project's default by default."""
    subnetwork: str = ""
    """Their subnetwork, as regions/REGION/subnetworks/NAME."""
    public_ips: bool = True
    """Whether the workers have public addresses."""


class VertexTarget(Model):
    """Vertex AI Pipelines in one project and region."""

    project: Annotated[str, StringConstraints(pattern=r"^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
    """The project's id."""
    location: Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+\d+$")] = "europe-west4"
    """The region."""
    pipeline_root: Annotated[str, StringConstraints(pattern=r"^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/\S*)?$")]
    """Where artifacts go, such as gs://my-bucket/seqline."""
    repository: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9-]{0,61}[a-z0-9]|https?://\S+)?$")] = ""
    """Artifact Registry repository of format KFP for templates: its name, or its whole address where it is another
    project's; without one `upload` writes to the bucket."""
    service_account: str = ""
    """Of the runs; the project's default by default."""
    network: str = ""
    """Peered network of the jobs, as projects/NUMBER/global/networks/NAME."""
    encryption_key: str = ""
    """Customer-managed key, as projects/P/locations/L/keyRings/R/cryptoKeys/K."""
    labels: Labels = Field(default_factory=dict)
    """Labels of runs and of their jobs."""
    api_endpoint: str = ""
    """Another address of the API, such as a Private Service Connect one."""
    api_transport: Literal["grpc", "rest"] = "grpc"
    """How the API is spoken to, also by the run's own stages."""
    notify: Annotated[list[Email], Field(max_length=3)] = Field(default_factory=list)
    """Who gets an e-mail when a run ends."""
    training: TrainingJob | None = None
    """Training as a custom job; by default it is a task with the resources that the configuration gives it."""
    dataflow: Dataflow | None = None
    """Tokenizing on Dataflow; by default it runs in its task."""
    import_evaluation: bool = False
    """Whether a blessed version's evaluation is imported into the Model Registry."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Values on top of the common ones."""

    @property
    def api_address(self) -> str:
        """The API's address as stages take it: a host for gRPC, with https:// for REST; empty for the region's own."""
        if self.api_transport == "grpc" or self.api_endpoint.startswith("http://"):
            return self.api_endpoint
        return f"https://{self.api_endpoint.removeprefix('https://') or f'{self.location}-aiplatform.googleapis.com'}"
