"""How Vertex hosts an endpoint's versions: their machines, the endpoint's address, and what every resource carries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from seqline.accelerators import gpus_of
from seqline.errors import UserError

Kind = Literal["auto", "dedicated", "shared", "private"]

# Label of an endpoint whose requests are logged because Seqline has set so.
LOGGED = "seqline-log"
METRIC = "aiplatform.googleapis.com/prediction/online/"
CPU, GPU = f"{METRIC}cpu/utilization", f"{METRIC}accelerator/duty_cycle"


@dataclass(frozen=True)
class Machine:
    """How Vertex runs the model server.

    Attributes:
        image: The serving image, by digest.
        machine_type: Machine type of each replica.
        min_replicas: Number of replicas, at least.
        max_replicas: Number of replicas, at most; Vertex adds them by load.
        service_account: Service account of the server; empty for the project's default.
        accelerator_type: GPU of each replica; empty for none.
        accelerator_count: Number of GPUs of each replica; 0 for those of the machine type.
        target_utilization: Utilization in percent that Vertex adds and removes replicas for.
        spot: Whether the replicas are spot machines.
    """

    image: str = ""
    machine_type: str = "n1-standard-4"
    min_replicas: int = 1
    max_replicas: int = 1
    service_account: str = ""
    accelerator_type: str = ""
    accelerator_count: int = 0
    target_utilization: int = 60
    spot: bool = False

    def resources(self) -> dict[str, Any]:
        """Returns the `DedicatedResources` of a deployed model."""
        machine: dict[str, Any] = {"machine_type": self.machine_type}
        metrics = [CPU]
        if self.accelerator_type:
            count = self.accelerator_count or gpus_of(self.machine_type) or 1
            machine |= {"accelerator_type": self.accelerator_type, "accelerator_count": count}
            metrics.append(GPU)
        return {
            "machine_spec": machine,
            "min_replica_count": self.min_replicas,
            "max_replica_count": self.max_replicas,
            "autoscaling_metric_specs": [
                {"metric_name": metric, "target": self.target_utilization} for metric in metrics
            ],
            "spot": self.spot,
        }


@dataclass(frozen=True)
class Access:
    """How clients reach an endpoint.

    Attributes:
        kind: dedicated (an own DNS name), shared (the region's domain) or private (Private Service Connect); auto for
            the kind of an existing endpoint, and dedicated for a new one.
        timeout: Time limit of a request in seconds; 0 for the service's own. A shared endpoint's is fixed.
        logged: Share of the requests that Vertex logs to BigQuery with their responses; 0 for none.
        log_table: Where to, as bq://project.dataset.table; empty for a new data set.
        projects: Projects that may connect to a private endpoint, besides its own.
        network: Network in which Vertex creates a private endpoint's address, projects/P/global/networks/NAME.
        address: Address of a private endpoint that someone else created; empty for the one in the network.
    """

    kind: Kind = "auto"
    timeout: int = 0
    logged: float = 0.0
    log_table: str = ""
    projects: tuple[str, ...] = ()
    network: str = ""
    address: str = ""

    def fields(self, project: str) -> dict[str, Any]:
        """Returns the fields of a new endpoint.

        Args:
            project: The endpoint's project.
        """
        made: dict[str, Any] = {}
        if self.kind == "private":
            others = [*self.projects, *([self.network.split("/")[1]] if self.network else [])]
            made["private_service_connect_config"] = {
                "enable_private_service_connect": True,
                "project_allowlist": list(dict.fromkeys([project, *others])),
                "psc_automation_configs": [{"project_id": self.network.split("/")[1], "network": self.network}]
                if self.network
                else [],
            }
        elif self.kind != "shared":
            made["dedicated_endpoint_enabled"] = True
        if self.timeout:
            made["client_connection_config"] = {"inference_timeout": {"seconds": self.timeout}}
        if self.logged:
            made["predict_request_response_logging_config"] = self.logging(project)
        return made

    def logging(self, project: str) -> dict[str, Any]:
        """Returns the configuration of the log of requests.

        Args:
            project: The endpoint's project, in which Vertex creates a data set if none is given.
        """
        table = self.log_table or f"bq://{project}"
        return {
            "enabled": True,
            "sampling_rate": self.logged,
            "bigquery_destination": {"output_uri": table},
        }


@dataclass(frozen=True)
class Hosting:
    """How Vertex hosts an endpoint's versions.

    Attributes:
        machine: Machines of each version.
        access: How clients reach the endpoint.
        encryption_key: Customer-managed key of the endpoint and the registry's versions; empty for Google's own.
        labels: Labels of both.
    """

    machine: Machine = field(default_factory=Machine)
    access: Access = field(default_factory=Access)
    encryption_key: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def encryption(self) -> dict[str, Any]:
        """Returns the field `encryption_spec` of a resource, if there is a key."""
        return {"encryption_spec": {"kms_key_name": self.encryption_key}} if self.encryption_key else {}


def kind_of(endpoint: Any) -> Literal["dedicated", "shared", "private"]:
    """Returns the kind of an existing endpoint.

    Args:
        endpoint: As Vertex describes it.

    Raises:
        UserError: If it is of another kind.
    """
    if endpoint.network:
        raise UserError(
            f"{endpoint.name} is peered with {endpoint.network}, and Seqline cannot send requests to such an endpoint; "
            "choose one that is dedicated, shared, or private by Private Service Connect"
        )
    # The second field is the older form of the first.
    if (
        endpoint.private_service_connect_config.enable_private_service_connect
        or endpoint.enable_private_service_connect
    ):
        return "private"
    return "dedicated" if endpoint.dedicated_endpoint_enabled else "shared"


def require_as_made(endpoint: Any, hosting: Hosting, name: str) -> None:
    """Checks what cannot be changed on an existing endpoint.

    Args:
        endpoint: As Vertex describes it.
        hosting: What is wanted.
        name: The endpoint's name.

    Raises:
        UserError: If it was made otherwise.
    """
    kind, wanted = kind_of(endpoint), hosting.access.kind
    if wanted not in ("auto", kind):
        raise UserError(
            f"serving.endpoint_type: {name} is a {kind} endpoint, and Vertex cannot change that to {wanted}; choose "
            "another endpoint, or omit the option"
        )
    config = endpoint.private_service_connect_config
    networks = [one.network for one in config.psc_automation_configs]
    if kind == "private" and hosting.access.network and hosting.access.network not in networks:
        raise UserError(
            f"serving.private_network: {name} has its address in {', '.join(networks) or 'no network'}, and Vertex "
            f"cannot change that to {hosting.access.network}; choose another endpoint"
        )
    if kind == "shared" and hosting.access.timeout:
        raise UserError(
            f"serving.request_timeout: {name} is a shared endpoint, whose requests have a time limit of 60 s; choose "
            "another endpoint, which will be dedicated, or omit the option"
        )
    key = endpoint.encryption_spec.kms_key_name
    if hosting.encryption_key and key != hosting.encryption_key:
        raise UserError(
            f"encryption_key: {name} is encrypted with {key or 'a key of Google'}, and Vertex cannot change that to "
            f"{hosting.encryption_key}; choose another endpoint"
        )
