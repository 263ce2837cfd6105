"""Vertex AI in the configuration."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from seqline.configuration.base import Duration, Labels, Model, ParameterValues

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class TpuSlice(Model):
    """A TPU slice. TensorFlow on Vertex runs on v2, v3 and v5e."""

    version: Literal["v2", "v3", "v5e"]
    """TPU version."""
    topology: Annotated[str, StringConstraints(pattern=r"^\d+x\d+$")] = "2x2"
    """Topology of a v5e slice: 1x1, 2x2 or 2x4, which are those of one host. v2 and v3 have the eight cores of one."""


class TrainingJob(Model):
    """Training as a custom job instead of a task of the pipeline."""

    machine_type: str = "n1-standard-8"
    """Machine type of each replica; ignored with a TPU slice."""
    accelerator_type: str = ""
    """Accelerator type, such as NVIDIA_TESLA_T4 or NVIDIA_L4; empty for none."""
    accelerator_count: Annotated[int, Field(ge=0, le=16)] = 0
    """Number of accelerators of each replica."""
    tpu: TpuSlice | None = None
    """TPU slice, instead of machine and accelerators."""
    replicas: Annotated[int, Field(ge=1, le=256)] = 1
    """Number of replicas: a chief and workers."""
    spot: bool = False
    """Whether to use spot machines; a preempted job restarts from its last checkpoint."""
    timeout: Duration = 60 * 60 * 24
    """Time limit of the job in seconds."""
    boot_disk_gb: Annotated[int, Field(ge=100, le=64000)] = 100
    """Size of the boot disk in GB."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the process."""


class Dataflow(Model):
    """Tokenizing on Dataflow instead of in one process."""

    machine_type: str = ""
    """Machine type of the workers; Dataflow selects it by default."""
    max_workers: Annotated[int, Field(ge=1, le=4000)] = 10
    """Number of workers, at most."""
    service_account: str = ""
    """Service account of the workers; the target's by default."""
    network: str = ""
    """Network of the workers; the project's default by default."""
    subnetwork: str = ""
    """Subnetwork of the workers, as regions/REGION/subnetworks/NAME."""
    public_ips: bool = True
    """Whether the workers have public addresses."""


class VertexTarget(Model):
    """Vertex AI Pipelines in one project and region."""

    project: Annotated[str, StringConstraints(pattern=r"^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
    """Project ID."""
    location: Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+\d+$")] = "europe-west4"
    """Region."""
    pipeline_root: Annotated[str, StringConstraints(pattern=r"^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/\S*)?$")]
    """Root of the artifacts, such as gs://my-bucket/seqline."""
    repository: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9-]{0,61}[a-z0-9]|https?://\S+)?$")] = ""
    """Artifact Registry repository of format KFP for templates: its name, or its full address in another project.
    Without one, `upload` writes to the bucket."""
    service_account: str = ""
    """Service account of the runs; the project's default by default."""
    network: str = ""
    """Peered network of the jobs, as projects/NUMBER/global/networks/NAME."""
    encryption_key: str = ""
    """Customer-managed encryption key, as projects/P/locations/L/keyRings/R/cryptoKeys/K."""
    labels: Labels = Field(default_factory=dict)
    """Labels of runs and their jobs."""
    api_endpoint: str = ""
    """Host of the API, such as a Private Service Connect address; the region's own by default."""
    api_transport: Literal["grpc", "rest"] = "grpc"
    """Transport of the API, also in the run's own stages."""
    notify: Annotated[list[Email], Field(max_length=3)] = Field(default_factory=list)
    """Addresses that get an e-mail when a run ends."""
    training: TrainingJob | None = None
    """Training as a custom job; by default it is a task with its configured resources."""
    dataflow: Dataflow | None = None
    """Tokenizing on Dataflow; by default it runs in its own task."""
    import_evaluation: bool = False
    """Whether to import a blessed version's evaluation into the Model Registry."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Parameters for this target, merged into the common ones."""

    @property
    def api_address(self) -> str:
        """API address for the stages: a host for gRPC, with https:// for REST; empty for the region's own."""
        if self.api_transport == "grpc" or self.api_endpoint.startswith("http://"):
            return self.api_endpoint
        return f"https://{self.api_endpoint.removeprefix('https://') or f'{self.location}-aiplatform.googleapis.com'}"
