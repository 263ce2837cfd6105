"""The Vertex back end: the Model Registry and an endpoint, through Google's client library.

endpoint               projects/P/locations/L/endpoints/NAME; created with that id if it does not exist
model in the registry  projects/P/locations/L/models/NAME, one version for each blessed model
a version's label      seqline-fingerprint: its model's fingerprint, so that no model is registered twice
a deployed model's id  its version's number, so that no version is deployed twice
"""

import contextlib
import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.endpoints.back_end import BEST, CHAMPION, NONE, PREVIOUS, RefusedError, Registered, Reply, State, label_of
from seqline.errors import UserError
from seqline.vertex_api.clients import connect
from seqline.vertex_api.errors import transient_errors
from seqline.vertex_api.retries import Retries

log = logging.getLogger(__name__)

ENDPOINT = re.compile(r"(projects/[^/]+/locations/([a-z0-9-]+))/endpoints/([a-z0-9][a-z0-9-]{0,62})")
LABEL = "seqline-fingerprint"
# Seconds before each further attempt of a write.
PAUSES = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Machine:
    """How Vertex runs the model server.

    Attributes:
        image: The serving image, by digest.
        machine_type: Machine type of each replica.
        max_replicas: Number of replicas, at most; Vertex adds them by load.
        service_account: Service account of the server; empty for the project's default.
    """

    image: str = ""
    machine_type: str = "n1-standard-4"
    max_replicas: int = 1
    service_account: str = ""


class VertexBackEnd:
    """Serves versions from an endpoint on Vertex.

    Args:
        endpoint: projects/P/locations/L/endpoints/NAME.
        machine: How Vertex runs the model server.
        api_endpoint: Host of the Vertex API, such as a Private Service Connect one; empty for the region's own. With
            https:// in front it is called by REST instead of gRPC.
        seconds: Time limit of one operation; deploying takes about ten minutes.

    Raises:
        UserError: If the endpoint's name has another form.
    """

    # Requests cannot be sent to one deployed model: a version answers in proportion to its share.
    needs_share = True

    def __init__(
        self,
        endpoint: str,
        machine: Machine = Machine(),
        api_endpoint: str = "",
        seconds: float = 3600.0,
    ) -> None:
        from google.cloud import aiplatform_v1

        named = ENDPOINT.fullmatch(endpoint)
        if not named:
            raise UserError(f"endpoint: {endpoint!r} is not projects/P/locations/L/endpoints/NAME")
        self.parent, self.location, self.name = named.groups()
        self.endpoint, self.machine, self.seconds = endpoint, machine, seconds
        self.model = f"{self.parent}/models/{self.name}"
        self.types = aiplatform_v1
        self.models = connect(aiplatform_v1.ModelServiceClient, self.location, api_endpoint)
        self.endpoints = connect(aiplatform_v1.EndpointServiceClient, self.location, api_endpoint)
        self.predictions = connect(aiplatform_v1.PredictionServiceClient, self.location, api_endpoint)
        self.retries = Retries(PAUSES, _explained, _is_transient, _is_conflict)

    def locked(self) -> AbstractContextManager[None]:
        """No lock: a schedule starts one run at a time, and every step reads the state before it writes."""
        return contextlib.nullcontext()

    def register(self, model: Path, fingerprint: str, metrics: dict[str, float]) -> int:
        """Uploads the model as a version of the registry's model, which the first version creates."""
        known = self._find(fingerprint)
        if known is not None:
            return known
        if not self.machine.image:
            raise UserError("serving.image is empty; Vertex needs the serving image to deploy a model, by its digest")
        uploaded = self.types.Model(
            display_name=self.name,
            artifact_uri=_bucket_address(model),
            version_description=", ".join(f"{name} {value:.4g}" for name, value in metrics.items()),
            labels={LABEL: label_of(fingerprint)},
            container_spec={
                "image_uri": self.machine.image,
                "predict_route": "/predict",
                "health_route": "/healthz",
                "ports": [{"container_port": 8080}],
            },
        )

        def upload() -> int:
            under = {"parent_model": self.model} if self.versions() else {"model_id": self.name}
            request = {"parent": self.parent, "model": uploaded, **under}
            done = self.models.upload_model(request=request).result(self.seconds)
            return int(done.model_version_id)

        return self.retries.write("register the model", lambda: self._find(fingerprint), upload)

    def versions(self) -> list[Registered]:
        """The versions of the registry's model."""
        return [
            Registered(
                int(known.version_id),
                known.labels.get(LABEL, ""),
                known.version_create_time.isoformat(timespec="seconds"),
                known.artifact_uri,
                known.version_description,
            )
            for known in self._versions()
        ]

    def prepare(self) -> None:
        """Creates the endpoint if there is none of its name."""

        def create() -> None:
            endpoint = self.types.Endpoint(display_name=self.name)
            request = {"parent": self.parent, "endpoint": endpoint, "endpoint_id": self.name}
            self.endpoints.create_endpoint(request=request).result(self.seconds)
            log.info("created the endpoint %s", self.endpoint)

        self.retries.write("create the endpoint", self._endpoint, create)

    def state(self) -> State:
        """Traffic from the endpoint, aliases from the registry."""
        endpoint = self._endpoint()
        if endpoint is None:
            return State({}, self._aliases())
        deployed = self._deployed(endpoint)
        traffic = {version: endpoint.traffic_split.get(number, 0) for version, number in deployed.items()}
        return State(dict(sorted(traffic.items())), self._aliases())

    def add(self, version: int) -> None:
        """Deploys a version; the first one on an endpoint must take all traffic at once."""

        def deploy() -> bool:
            endpoint = self._endpoint()
            log.info("deploying version %d on Vertex; this takes about ten minutes", version)
            deployed = self.types.DeployedModel(
                id=str(version),
                model=f"{self.model}@{version}",
                display_name=f"{self.name}-{version}",
                service_account=self.machine.service_account,
                dedicated_resources={
                    "machine_spec": {"machine_type": self.machine.machine_type},
                    "min_replica_count": 1,
                    "max_replica_count": self.machine.max_replicas,
                },
            )
            split = {**endpoint.traffic_split, "0": 0} if endpoint.deployed_models else {"0": 100}
            request = {"endpoint": endpoint.name, "deployed_model": deployed, "traffic_split": split}
            self.endpoints.deploy_model(request=request).result(self.seconds)
            return True

        self.retries.write(
            f"deploy version {version}", lambda: version in self._deployed(self._endpoint()) or None, deploy
        )

    def split(self, traffic: dict[int, int]) -> None:
        """Sets the traffic split, then undeploys the versions outside it."""

        def change() -> None:
            endpoint = self._endpoint()
            if endpoint is None:
                return
            deployed = self._deployed(endpoint)
            wanted: dict[str, int] = {
                deployed[version]: share for version, share in traffic.items() if version in deployed
            }
            split: dict[str, int] = {number: wanted.get(number, 0) for number in deployed.values()}
            if any(split.values()) and split != dict(endpoint.traffic_split):
                changed = self.types.Endpoint(
                    name=endpoint.name, display_name=endpoint.display_name, traffic_split=split
                )
                self.endpoints.update_endpoint(endpoint=changed, update_mask={"paths": ["traffic_split"]})
            # The version with all of the traffic can only be undeployed last.
            shares = dict(endpoint.traffic_split) if not any(split.values()) else {}
            for number in sorted(set(deployed.values()) - set(wanted), key=lambda number: shares.get(number, 0)):
                log.info("undeploying version %s from Vertex", number)
                rest = {other: share for other, share in split.items() if other != number and any(split.values())}
                split.pop(number)
                request = {"endpoint": endpoint.name, "deployed_model_id": number, "traffic_split": rest}
                self.endpoints.undeploy_model(request=request).result(self.seconds)

        self.retries.read("change the traffic split", change)

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        """Sends requests to the endpoint until the version itself has answered every text."""
        share = self.state().traffic.get(version, 0)
        if not share:
            raise UserError(f"version {version} has no share of the traffic, so it gets no requests")
        replies: list[Reply] = []
        for _ in range(20 * len(texts) * -(-100 // share)):
            text = texts[len(replies)]
            started = time.monotonic()
            response = self._predict([text])
            if response.model_version_id == str(version):
                answer = str(_plain(response.predictions[0])["text"])
                replies.append(Reply(text, answer, round(1000 * (time.monotonic() - started), 1)))
            if len(replies) == len(texts):
                return replies
        raise UserError(
            f"version {version} has {share}% of the traffic, but answered {len(replies)} of {len(texts)} smoke requests"
        )

    def predict(self, texts: list[str], parameters: Mapping[str, Any] = NONE) -> list[dict[str, Any]]:
        """Sends one request to the endpoint."""
        return [_plain(prediction) for prediction in self._predict(texts, parameters).predictions]

    def alias(self, aliases: dict[str, int]) -> None:
        """Moves aliases, the champion's last; the champion is also Vertex's default version."""
        for alias, version in sorted(aliases.items(), key=lambda entry: entry[0] == CHAMPION):
            given = [alias, "default"] if alias == CHAMPION else [alias]
            name = f"{self.model}@{version}"

            def move(name: str = name, given: list[str] = given) -> None:
                self.models.merge_version_aliases(name=name, version_aliases=given)

            self.retries.read(f"move the alias {alias}", move)

    def forget(self, needed: set[int]) -> None:
        """Removes nothing: versions in the registry cost almost nothing."""

    def address(self) -> str:
        """The predict method's address."""
        found = self._endpoint()
        name = found.name if found else self.endpoint
        return f"https://{self.location}-aiplatform.googleapis.com/v1/{name}:predict"

    def runs(self) -> bool:
        """Whether a version is deployed."""
        return bool(self.state().traffic)

    def stop(self) -> bool:
        """Undeploys every version: an endpoint without one costs nothing."""
        endpoint = self._endpoint()
        if endpoint is None or not endpoint.deployed_models:
            return False
        self.split({})
        return True

    def _versions(self) -> list[Any]:
        from google.api_core.exceptions import NotFound

        try:
            found = list(self.models.list_model_versions(name=self.model))
        except NotFound:
            return []
        return sorted(found, key=lambda known: int(known.version_id))

    def _aliases(self) -> dict[str, int]:
        return {
            alias: int(known.version_id)
            for known in self._versions()
            for alias in known.version_aliases
            if alias in (CHAMPION, PREVIOUS, BEST)
        }

    def _find(self, fingerprint: str) -> int | None:
        label = label_of(fingerprint)
        return next((known.version for known in self.versions() if known.fingerprint == label), None)

    def _endpoint(self) -> Any:
        """The endpoint by its id, or by its display name; None if there is none."""
        from google.api_core.exceptions import NotFound

        try:
            return self.endpoints.get_endpoint(name=self.endpoint)
        except NotFound:
            request = {"parent": self.parent, "filter": f'display_name="{self.name}"'}
            return next(iter(self.endpoints.list_endpoints(request=request)), None)

    def _deployed(self, endpoint: Any) -> dict[int, str]:
        """Ids of the deployed models, by version."""
        found = {}
        for deployed in endpoint.deployed_models if endpoint else ():
            if deployed.model.rpartition("/")[2] != self.name:
                raise UserError(
                    f"{self.endpoint} serves {deployed.model}, which is not of this pipeline; choose another endpoint"
                )
            found[int(deployed.model_version_id)] = deployed.id
        return found

    def _predict(self, texts: list[str], parameters: Mapping[str, Any] = NONE) -> Any:
        from google.api_core.exceptions import GoogleAPIError, InternalServerError, InvalidArgument

        endpoint = self._endpoint()
        if endpoint is None:
            raise UserError(f"there is no endpoint {self.endpoint}")
        try:
            return self.predictions.predict(
                endpoint=endpoint.name, instances=texts, parameters=dict(parameters), timeout=120
            )
        except (InvalidArgument, InternalServerError) as error:
            raise RefusedError(str(error.message)) from error
        except GoogleAPIError as error:
            raise UserError(f"{self.endpoint} does not answer: {error}") from error


def _is_transient(error: Exception) -> bool:
    from google.api_core.exceptions import InternalServerError

    return isinstance(error, (*transient_errors(), InternalServerError))


def _is_conflict(error: Exception) -> bool:
    from google.api_core.exceptions import AlreadyExists

    return isinstance(error, AlreadyExists)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turns the errors of Google's clients into messages for users."""
    from google.api_core import exceptions

    try:
        yield
    except exceptions.PermissionDenied as error:
        raise UserError(f"Vertex does not let this caller {what}: {error}") from error
    except (exceptions.GoogleAPIError, *transient_errors()) as error:
        raise UserError(f"Vertex did not {what}: {error}") from error


def list_endpoints(parent: str, api_endpoint: str = "") -> list[str]:
    """Lists the endpoints that Seqline deploys to.

    Args:
        parent: projects/P/locations/L.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Returns:
        Their names.

    Raises:
        UserError: If Vertex does not answer.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.cloud import aiplatform_v1

    try:
        client = connect(aiplatform_v1.EndpointServiceClient, parent.rpartition("/")[2], api_endpoint)
        found = list(client.list_endpoints(parent=parent))
    except GoogleAPIError as error:
        raise UserError(f"the endpoints of {parent} cannot be listed: {error}") from error
    return sorted(
        endpoint.name
        for endpoint in found
        if all(f"/models/{endpoint.display_name}" in deployed.model for deployed in endpoint.deployed_models)
    )


def _bucket_address(model: Path) -> str:
    """The gs:// address of a path below /gcs, where Vertex mounts buckets."""
    parts = model.parts
    if parts[:2] != ("/", "gcs") or len(parts) < 4:
        raise UserError(f"model: {model} is not in Cloud Storage; Vertex serves models from there only")
    return "gs://" + "/".join(parts[2:])


def _plain(value: Any) -> dict[str, Any]:
    """A prediction of the client library as a dictionary."""
    return {str(name): value[name] for name in value}
