"""Where the versions of an endpoint run, by KServe's deployment mode."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from seqline.endpoints.kserve.cluster import INFERENCE_SERVICE, Cluster, Object
from seqline.endpoints.kserve.record import Version
from seqline.errors import UserError

log = logging.getLogger(__name__)

# Raises ChangedError if the shares are not those that the caller has seen.
Check = Callable[[Mapping[int, int]], None]


@dataclass(frozen=True)
class Site:
    """What a placement works on.

    Attributes:
        cluster: The namespace.
        name: The endpoint's name.
        seconds: Time limit for a version to load.
        inside: Whether requests go to the cluster's own services; otherwise to the public names.
        version: Returns a registered version by its number.
        require: Checks that this process still holds the lock.
    """

    cluster: Cluster
    name: str
    seconds: float
    inside: bool
    version: Callable[[int], Version]
    require: Callable[[], None]

    def service(self, name: str = "") -> Object | None:
        """Returns an InferenceService, the endpoint's own by default."""
        return self.cluster.get(INFERENCE_SERVICE, name or self.name)

    def change(self, alter: Callable[[Object | None], Object], name: str = "") -> Object:
        """Changes an InferenceService, the endpoint's own by default; see `Cluster.change`."""

        def altered(found: Object | None) -> Object:
            self.require()
            return alter(found)

        return self.cluster.change(INFERENCE_SERVICE, name or self.name, altered)


class Placement(Protocol):
    """How one deployment mode serves versions; the methods are those of `BackEnd`.

    Attributes:
        mode: The mode.
        most_served: Largest number of versions that share the traffic.
    """

    mode: str
    most_served: int

    def traffic(self) -> dict[int, int]:
        """Returns the shares of the versions that are deployed."""

    def add(self, version: int) -> None:
        """Deploys a version without traffic; returns when it has loaded."""

    def split(self, traffic: Mapping[int, int], check: Check) -> None:
        """Sets the shares; returns when they hold. The check sees the shares that are replaced."""

    def remove(self, versions: Collection[int]) -> None:
        """Undeploys versions."""

    def address_of(self, version: int) -> str:
        """Returns the address at which a deployed version answers by itself."""


def condition(service: Object | None, kind: str) -> Object:
    """Returns a condition of an object's status; empty if it has none.

    Args:
        service: The object.
        kind: The condition's type.
    """
    conditions = ((service or {}).get("status") or {}).get("conditions") or []
    return next((dict(one) for one in conditions if one["type"] == kind), {})


def is_ready(service: Object | None) -> bool:
    """Whether an InferenceService answers requests."""
    return condition(service, "Ready").get("status") == "True"


def component(service: Object | None) -> Object:
    """The status of an InferenceService's predictor."""
    return dict((((service or {}).get("status") or {}).get("components") or {}).get("predictor") or {})


def failure(service: Object | None) -> str:
    """Why the newest predictor does not load; empty while it may.

    pkg/apis/serving/v1beta1/inference_service_status.go: `ModelStatus`.
    """
    status: Any = ((service or {}).get("status") or {}).get("modelStatus") or {}
    if status.get("transitionStatus") not in ("BlockedByFailedLoad", "InvalidSpec"):
        return ""
    info = status.get("lastFailureInfo") or {}
    return f"{info.get('message') or 'its container fails'} ({info.get('reason') or status['transitionStatus']})"


def not_loaded(version: int, site: Site, why: str) -> UserError:
    """The error of a version that does not load.

    Args:
        version: The version.
        site: The endpoint.
        why: The reason; empty if it only takes too long.
    """
    pods = f"`kubectl -n {site.cluster.namespace} get pods -l serving.kserve.io/inferenceservice={site.name}`"
    if why:
        return UserError(f"version {version} does not load: {why}; {pods} lists its pods")
    return UserError(f"version {version} has not loaded within {site.seconds:g} s; {pods} says what it waits for")
