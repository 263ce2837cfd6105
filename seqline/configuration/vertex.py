"""Vertex AI in the configuration."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from seqline.accelerators import api_name
from seqline.configuration.base import Duration, Labels, Model, ParameterValues

WEEK = 7 * 24 * 3600
QUEUED = ("NVIDIA_L4", "NVIDIA_TESLA_A100", "NVIDIA_A100_80GB", "NVIDIA_H100", "NVIDIA_H200", "NVIDIA_B200")
"""Beginnings of the GPUs that Vertex queues for: docs.cloud.google.com/vertex-ai/docs/training/schedule-jobs-dws."""

MOST_LABELS = 56
"""A resource has 64; Seqline has five on a schedule's runs, and one for each deployment that was given up."""

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
    accelerator_type: Annotated[str, BeforeValidator(api_name)] = ""
    """Accelerator type, such as NVIDIA_TESLA_T4 or NVIDIA_L4; empty for none."""
    accelerator_count: Annotated[int, Field(ge=0, le=16)] = 0
    """Number of accelerators of each replica; 0 for those of the machine type."""
    tpu: TpuSlice | None = None
    """TPU slice, instead of machine and accelerators."""
    replicas: Annotated[int, Field(ge=1, le=256)] = 1
    """Number of replicas: a chief and workers."""
    spot: bool = False
    """Whether to use spot machines; a preempted job restarts from its last checkpoint."""
    flex_start: bool = False
    """Whether to wait until all machines are available at once (Dynamic Workload Scheduler); for GPUs from L4 on."""
    max_wait: Annotated[int, Field(ge=0, le=60 * 60 * 24 * 28)] = 60 * 60 * 24
    """Time to wait for machines with flex_start, in seconds; 0 for any time."""
    reservation: Annotated[
        str, StringConstraints(pattern=r"^(any|projects/[^/\s]+/zones/[^/\s]+/reservations/[^/\s]+)?$")
    ] = ""
    """Compute Engine reservation of GPU machines, as projects/P/zones/Z/reservations/NAME; any for whichever fits."""
    timeout: Duration = 60 * 60 * 24
    """Time limit of the job in seconds."""
    boot_disk_gb: Annotated[int, Field(ge=100, le=64000)] = 100
    """Size of the boot disk in GB."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the process."""
    tensorboard: Annotated[
        str, StringConstraints(pattern=r"^(projects/[^/\s]+/locations/[^/\s]+/tensorboards/[^/\s]+)?$")
    ] = ""
    """Vertex TensorBoard that shows the training while it runs, as projects/P/locations/L/tensorboards/ID."""

    @model_validator(mode="after")
    def _check_machines(self) -> "TrainingJob":
        if self.spot and self.flex_start:
            raise ValueError("spot and flex_start exclude each other; remove one")
        if self.flex_start:
            if self.tpu is not None or not self.accelerator_type.startswith(QUEUED):
                given = "a TPU slice" if self.tpu is not None else self.accelerator_type or "a CPU"
                raise ValueError(f"flex_start is for L4, A100, H100, H200 and B200 GPUs, not for {given}")
            if self.timeout > WEEK:
                raise ValueError(f"flex_start: timeout is {self.timeout} s, but such a job runs for 7 days at most")
        elif "max_wait" in self.model_fields_set:
            raise ValueError("max_wait is for flex_start only; set flex_start: true, or leave max_wait out")
        if self.reservation and (self.tpu is not None or not self.accelerator_type):
            raise ValueError("reservation: Vertex uses reservations of machines with GPUs only; set accelerator_type")
        if self.reservation and (self.spot or self.flex_start):
            raise ValueError("reservation: neither spot machines nor those of flex_start come from a reservation")
        return self


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


class DnsPeering(Model):
    """A private DNS zone of a network."""

    domain: Annotated[str, StringConstraints(pattern=r"^\S+\.$")]
    """Domain, with a dot at its end, such as corp.example."""
    project: str
    """Project of the zone."""
    network: str
    """Name of the network in which the zone is visible."""


class VertexTarget(Model):
    """Vertex AI Pipelines in one project and region."""

    project: Annotated[str, StringConstraints(pattern=r"^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
    """Project ID, such as my-project: 6 to 30 lower-case letters, digits and hyphens."""
    location: Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+\d+$")] = "europe-west4"
    """Region, such as europe-west4."""
    pipeline_root: Annotated[str, StringConstraints(pattern=r"^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/\S*)?$")]
    """Root of the artifacts, such as gs://my-bucket/seqline."""
    repository: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9-]{0,61}[a-z0-9]|https?://\S+)?$")] = ""
    """Artifact Registry repository of format KFP for templates: its name, or its full address in another project.
    Without one, `upload` writes to the bucket."""
    service_account: str = ""
    """Service account of the runs; the project's default by default."""
    network: str = ""
    """Peered network of the jobs, as projects/NUMBER/global/networks/NAME."""
    network_attachment: Annotated[
        str, StringConstraints(pattern=r"^(projects/[^/\s]+/regions/[^/\s]+/networkAttachments/[^/\s]+)?$")
    ] = ""
    """Network attachment of the jobs (Private Service Connect interface), instead of a peered network, as
    projects/P/regions/R/networkAttachments/NAME."""
    dns_peering: list[DnsPeering] = Field(default_factory=list)
    """Private DNS zones that the jobs resolve through the network attachment."""
    reserved_ip_ranges: list[str] = Field(default_factory=list)
    """Names of the reserved ranges of addresses in the peered network."""
    encryption_key: Annotated[
        str,
        StringConstraints(pattern=r"^(projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+)?$"),
    ] = ""
    """Customer-managed encryption key, as projects/P/locations/L/keyRings/R/cryptoKeys/K."""
    labels: Labels = Field(default_factory=dict)
    """Labels of runs, their jobs, models and endpoints."""
    experiment: Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9-]{0,127})?$")] = ""
    """Vertex Experiment in which the runs stand, with their parameters and metrics; created if there is none."""
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

    @model_validator(mode="after")
    def _check_resources(self) -> "VertexTarget":
        if self.network and self.network_attachment:
            raise ValueError("network and network_attachment are two ways into a network; remove one")
        if self.reserved_ip_ranges and not self.network:
            raise ValueError("reserved_ip_ranges are those of a peered network; set network")
        if self.dns_peering and not self.network_attachment:
            raise ValueError("dns_peering goes through a network attachment; set network_attachment")
        own = sorted(name for name in self.labels if name == "managed-by" or name.startswith("seqline-"))
        if own:
            raise ValueError(f"labels: {', '.join(own)} is a label of Seqline's own; choose another name")
        if len(self.labels) > MOST_LABELS:
            raise ValueError(
                f"labels: there are {len(self.labels)}, but Vertex has room for {MOST_LABELS} besides Seqline's own"
            )
        key = self.encryption_key.split("/")
        if self.encryption_key and key[3] != self.location:
            raise ValueError(
                f"encryption_key is in {key[3]}, but Vertex needs a key in the region of the resources, {self.location}"
            )
        if self.training and self.training.tensorboard:
            if not self.service_account:
                raise ValueError("training.tensorboard: the upload needs a service account; set service_account")
            if self.training.tensorboard.split("/")[3] != self.location:
                raise ValueError(f"training.tensorboard: the TensorBoard must be in {self.location}, as the job is")
        return self

    @property
    def psc_interface(self) -> dict[str, Any]:
        """The `PscInterfaceConfig` of a job; empty without a network attachment."""
        if not self.network_attachment:
            return {}
        peering = [
            {"domain": one.domain, "target_project": one.project, "target_network": one.network}
            for one in self.dns_peering
        ]
        return {"network_attachment": self.network_attachment, **({"dns_peering_configs": peering} if peering else {})}

    @property
    def api_address(self) -> str:
        """API address for the stages: a host for gRPC, with https:// for REST; empty for the region's own."""
        if self.api_transport == "grpc" or self.api_endpoint.startswith("http://"):
            return self.api_endpoint
        return f"https://{self.api_endpoint.removeprefix('https://') or f'{self.location}-aiplatform.googleapis.com'}"
