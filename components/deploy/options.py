"""Options of the deploy stage."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from seqline.accelerators import MACHINES, api_name, check_machine
from seqline.schema.options import BaseOptions, Fault, OptionsError, refusing

# Kubernetes' name of NVIDIA's GPUs, and its quantities: kubernetes.io/docs/reference/kubernetes-api/common-definitions.
KUBERNETES_GPU, QUANTITY = "nvidia.com/gpu", r"^([0-9]+(\.[0-9]+)?(m|[kMGTPE]i?)?)?$"
# Options that one service alone has.
ON_VERTEX = {
    "machine_type": "set cpu and memory",
    "spot": "set tolerations on the InferenceService",
    "endpoint_type": "",
    "log_requests": "KServe has a logger of its own",
    "log_table": "",
    "private_projects": "",
    "private_network": "",
    "private_address": "set gateway",
}
ON_KSERVE = ("deployment_mode", "cpu", "memory", "scale_metric", "scale_target", "gateway")
SAMPLING = ("sample_texts", "redact", "sample_folder", "sample_megabytes")
# pkg/apis/serving/v1beta1/inference_service_validation.go of KServe: the metrics of its two autoscalers.
METRICS = {"standard": ("cpu", "memory"), "serverless": ("concurrency", "rps")}


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
    image: str = Field("", description="Serving image on Vertex AI and KServe, by digest.")
    machine_type: str = Field("n1-standard-4", min_length=1, description="Machine type of each replica on Vertex AI.")
    cpu: str = Field("", pattern=QUANTITY, description="CPUs of each replica on KServe; empty for the default.")
    memory: str = Field(
        "", pattern=QUANTITY, description="Memory of each replica on KServe, such as 4Gi; empty for the default."
    )
    min_replicas: int = Field(
        1, ge=0, description="Minimum number of replicas on Vertex AI and KServe; 0 on KServe in serverless mode only."
    )
    max_replicas: int = Field(1, ge=1, description="Maximum number of replicas on Vertex AI and KServe.")
    accelerator_type: str = Field(
        "",
        description="GPU of each replica: NVIDIA_L4 and others on Vertex AI, nvidia.com/gpu on KServe; empty for none.",
    )
    accelerator_count: int = Field(
        0, ge=0, le=16, description="Number of GPUs of each replica; 0 for those of the machine type, or 1 on KServe."
    )
    target_utilization: int = Field(
        60,
        ge=1,
        le=100,
        description="Utilization in percent above which replicas are added, and below which they are removed: of CPUs "
        "and GPUs on Vertex AI, of the requested CPUs on KServe in standard mode.",
    )
    deployment_mode: Literal["standard", "serverless"] = Field(
        "standard",
        description="Deployment mode on KServe: standard (a Deployment, without a traffic split) or serverless "
        "(Knative).",
    )
    scale_metric: Literal["", "cpu", "memory", "concurrency", "rps"] = Field(
        "",
        description="Metric by which KServe adds replicas: cpu or memory in standard mode, concurrency or rps in "
        "serverless mode; empty for the mode's first.",
    )
    scale_target: int = Field(
        0, ge=0, description="Target of scale_metric on KServe; 0 for target_utilization or Knative's default."
    )
    gateway: str = Field(
        "",
        pattern=r"^((https?://)?[\w.:-]+/?)?$",
        description="Address of KServe's ingress gateway, such as http://10.0.0.1, for runs outside of the cluster or "
        "without its DNS; empty for the endpoint's own address.",
    )
    spot: bool = Field(
        False, description="Whether the replicas on Vertex AI are spot machines, which can be preempted."
    )
    service_account: str = Field(
        "", description="Service account of the server on Vertex AI and KServe; empty for the default."
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
        description="Time limit of a request in seconds on KServe, and on a dedicated or private endpoint of Vertex "
        "AI; 0 for the cluster's own, and 10 minutes on a new endpoint of Vertex AI, where an existing one keeps its "
        "limit.",
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
    sample_requests: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the answers that the server samples for monitoring, on a laptop and on KServe; 0 for "
        "none.",
    )
    sample_texts: bool = Field(False, description="Whether the texts of sampled requests are stored too.")
    redact: str = Field(
        "",
        pattern=r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*)?$",
        description="Function that is applied to texts before they are stored, as my_package.module:function, "
        "from str to str; empty for none.",
    )
    sample_folder: str = Field(
        "",
        description="Folder or bucket address of the samples and of feedback; empty for the folder of a local "
        "endpoint.",
    )
    sample_megabytes: int = Field(
        1000, ge=1, description="Largest size of the samples in MB, and of the feedback; the oldest files are deleted."
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

    _spelling = field_validator("accelerator_type", mode="before")(api_name)

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
        if self.accelerator_type == KUBERNETES_GPU:
            return self
        if self.accelerator_type and self.accelerator_type not in MACHINES:
            raise ValueError(
                f"accelerator_type: Vertex AI does not serve on {self.accelerator_type!r}; available: "
                f"{', '.join(MACHINES)}; KServe serves on {KUBERNETES_GPU}"
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
    def _check_scaling(self) -> "Options":
        allowed = METRICS[self.deployment_mode]
        if self.scale_metric and self.scale_metric not in allowed:
            raise ValueError(
                f"scale_metric: KServe does not scale by {self.scale_metric} in {self.deployment_mode} mode; write "
                f"{' or '.join(allowed)}, or change deployment_mode"
            )
        if self.scale_target and not self.scale_metric:
            raise ValueError(f"scale_target is set, but not scale_metric; write {' or '.join(allowed)}")
        if self.scale_metric == "cpu" and self.scale_target > 100:
            raise ValueError(f"scale_target: the utilization of CPUs is at most 100 percent, not {self.scale_target}")
        return self

    def faults_in(self, run: Mapping[str, Any]) -> Iterator[Fault]:
        """Yields the options that the service of the run's endpoint does not have; a local endpoint ignores them."""
        endpoint = str(run.get("endpoint", ""))
        if endpoint.startswith("kserve://"):
            yield from self._not_on_kserve()
        if endpoint.startswith("projects/"):
            yield from self._not_on_vertex()

    def check_on(self, endpoint: str) -> None:
        """Checks that the service of an endpoint has what the options set.

        Args:
            endpoint: The endpoint.

        Raises:
            OptionsError: If it has not, with a fault for each option.
        """
        if faults := [*self.faults_in({"endpoint": endpoint})]:
            raise OptionsError(faults)

    def _not_on_kserve(self) -> Iterator[Fault]:
        for name, instead in ON_VERTEX.items():
            if self._is_set(name):
                yield Fault((name,), f"has no effect on KServe; {instead + ', and ' if instead else ''}omit it")
        if self.accelerator_type not in ("", KUBERNETES_GPU):
            yield Fault(("accelerator_type",), f"is a GPU of Vertex AI; on KServe write {KUBERNETES_GPU}")
        if self.sample_requests and "://" not in self.sample_folder:
            yield Fault(
                ("sample_folder",),
                f"is {self.sample_folder!r}; on KServe write the address of a bucket, such as s3://bucket/samples",
            )
        if self.deployment_mode == "standard" and self.min_replicas == 0:
            yield Fault(("min_replicas",), "is 0, which needs deployment_mode: serverless on KServe; write 1 or more")
        if self.deployment_mode == "serverless" and self._is_set("target_utilization"):
            yield Fault(("target_utilization",), "has no effect in serverless mode; set scale_metric and scale_target")

    def _not_on_vertex(self) -> Iterator[Fault]:
        for name in ON_KSERVE:
            if self._is_set(name):
                yield Fault((name,), "is an option of KServe and has no effect on Vertex AI; omit it")
        if self.sample_requests:
            yield Fault(("sample_requests",), "has no effect on Vertex AI; set log_requests")
        if self.accelerator_type == KUBERNETES_GPU:
            yield Fault(("accelerator_type",), "is Kubernetes' name of a GPU; on Vertex AI write one such as NVIDIA_L4")
        if self.min_replicas == 0:
            yield Fault(("min_replicas",), "is 0; Vertex AI needs at least 1")

    def _is_set(self, name: str) -> bool:
        """Whether an option is not the default; written-out defaults are all the same."""
        return bool(getattr(self, name) != type(self).model_fields[name].default)

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
        for name in SAMPLING:
            if self._is_set(name) and not self.sample_requests:
                raise ValueError(
                    f"{name} is set, but sample_requests is 0; set the share of the answers to sample, such as 0.1"
                )
        if self.log_table and not self.log_requests:
            raise ValueError(
                "log_table is set, but log_requests is 0; set the share of the requests to log, such as 0.1"
            )
        return self
