"""The Vertex back end: the Model Registry and an endpoint, through Google's client library.

endpoint               projects/P/locations/L/endpoints/NAME; created with that id if it does not exist, unless NAME is
                       a number, as an endpoint made in the console has
model in the registry  projects/P/locations/L/models/NAME, or endpoint-NAME of a number; see
                       seqline.endpoints.vertex_registry
deployments            seqline.endpoints.vertex_deployments
"""

import contextlib
import functools
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from seqline.endpoints.back_end import CHAMPION, NONE, Registered, Reply, State, require_unchanged
from seqline.endpoints.names import ENDPOINT
from seqline.endpoints.vertex_deployments import Deployments
from seqline.endpoints.vertex_errors import explained, is_conflict, is_transient
from seqline.endpoints.vertex_hosting import Hosting, kind_of, require_as_made
from seqline.endpoints.vertex_predictions import Predictions
from seqline.endpoints.vertex_registry import Registry
from seqline.endpoints.vertex_resource import Resource
from seqline.endpoints.vertex_settings import Settings
from seqline.errors import UserError
from seqline.vertex_api.clients import connect
from seqline.vertex_api.operations import Operations
from seqline.vertex_api.retries import Retries

# Seconds before each further attempt.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# Seconds between two looks at a long operation.
POLLS = (1.0, 2.0, 4.0, 8.0, 15.0)
# Time limit for Vertex to create an endpoint's address, after its first deployment.
ADDRESS_SECONDS = 300.0


class VertexBackEnd:
    """Serves versions from an endpoint on Vertex.

    Args:
        endpoint: projects/P/locations/L/endpoints/NAME.
        hosting: How Vertex hosts the versions.
        api_endpoint: Host of the Vertex API, such as a Private Service Connect one; empty for the region's own. With
            https:// in front it is called by REST instead of gRPC.
        seconds: Time limit of one operation; deploying takes about ten minutes. One call has a minute.

    Raises:
        UserError: If the endpoint's name has another form.
    """

    # Requests cannot be sent to one deployed model: a version answers in proportion to its share.
    needs_share = True
    exclusive = False
    most_served = None

    def __init__(
        self,
        endpoint: str,
        hosting: Hosting = Hosting(),  # noqa: B008 (frozen)
        api_endpoint: str = "",
        seconds: float = 3600.0,
    ) -> None:
        from google.cloud import aiplatform_v1

        named = ENDPOINT.fullmatch(endpoint)
        if not named:
            raise UserError(f"endpoint: {endpoint!r} is not projects/P/locations/L/endpoints/NAME")
        parent, location, name = named.groups()
        self.endpoint, self.hosting = endpoint, hosting
        endpoints = connect(aiplatform_v1.EndpointServiceClient, location, api_endpoint)
        models = connect(aiplatform_v1.ModelServiceClient, location, api_endpoint)
        self.predictions = Predictions(location, api_endpoint, hosting.access)
        self.retries = Retries(PAUSES, explained, is_transient, is_conflict)
        self.operations = Operations(endpoints, self.retries, seconds, POLLS)
        self.resource = Resource(endpoint, endpoints, self.retries)
        self.registry = Registry(parent, name, models, self.operations, hosting)
        self.settings = Settings(self.resource, hosting, self.operations)
        self.deployments = Deployments(self.resource, self.registry, hosting.machine, self.operations)

    def locked(self) -> AbstractContextManager[None]:
        """No lock: every write names what it replaces, and is refused if someone else has changed that."""
        return contextlib.nullcontext()

    def register(self, model: Path, fingerprint: str, metrics: dict[str, float]) -> int:
        """Uploads the model as a version of the registry's model."""
        endpoint = self.retries.read("look up the endpoint", self.resource.find)
        if endpoint is not None:
            require_as_made(endpoint, self.hosting, self.endpoint)
            if endpoint.deployed_models and not self.predictions.awaits_address(endpoint):
                # Without an address the checks would fail, after ten minutes of deploying.
                self.predictions.address(endpoint)
        known = self.registry.find(fingerprint)
        if known is not None:
            return known
        if not self.hosting.machine.image:
            raise UserError("serving.image is empty; Vertex needs the serving image to deploy a model, by its digest")
        return self.registry.upload(_bucket_address(model), fingerprint, metrics, self._takes_grpc(endpoint))

    def _takes_grpc(self, endpoint: Any) -> bool:
        """Whether clients reach the endpoint by gRPC: a dedicated or private one, and so a new one by default."""
        return (self.hosting.access.kind if endpoint is None else kind_of(endpoint)) != "shared"

    def versions(self) -> list[Registered]:
        """The versions of the registry's model."""
        return self.registry.versions()

    def prepare(self) -> None:
        """Creates the endpoint if there is none of its name; gives an existing one what can be changed."""
        self.settings.apply()

    def state(self) -> State:
        """Traffic from the endpoint; aliases and rollbacks from the registry."""
        return State(self.resource.traffic(self.resource.find()), *self.registry.names())

    def add(self, version: int) -> None:
        """Deploys a version; the first one on an endpoint must take all traffic at once."""
        self.deployments.add(version)
        self._await_address()

    def split(self, traffic: Mapping[int, int], replaces: Mapping[int, int] | None = None) -> None:
        """Sets the traffic split; the endpoint's etag excludes a change between reading and writing."""

        def change() -> None:
            endpoint = self.resource.find()
            self.resource.require_no_others(endpoint)
            require_unchanged(self.endpoint, State(self.resource.traffic(endpoint)), traffic, replaces)
            if endpoint is not None:
                deployed = self.resource.deployed(endpoint)
                self.resource.set_split(
                    endpoint, {number: traffic.get(version, 0) for version, number in deployed.items()}
                )

        self.resource.consistently("change the traffic split", change)

    def remove(self, versions: Collection[int]) -> None:
        """Undeploys versions."""
        self.deployments.remove(versions)

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        """Sends requests to the endpoint until the version itself has answered every text."""
        endpoint = self.resource.find()
        share = self.resource.traffic(endpoint).get(version, 0)
        if not share:
            raise UserError(f"version {version} has no share of the traffic, so it gets no requests")
        replies: list[Reply] = []
        # Connects and authenticates; the requests below measure the prediction.
        self.predictions.reach(endpoint, texts[0], PAUSES, self.retries.sleep)
        for _ in range(20 * len(texts) * -(-100 // share)):
            text = texts[len(replies)]
            started = time.monotonic()
            answer = self.predictions.predict(endpoint, [text])
            milliseconds = round(1000 * (time.monotonic() - started), 1)
            if answer.version == str(version):
                replies.append(Reply(text, str(answer.predictions[0]["text"]), milliseconds))
            if len(replies) == len(texts):
                return replies
        raise UserError(
            f"version {version} has {share}% of the traffic, but answered {len(replies)} of {len(texts)} smoke requests"
        )

    def predict(self, texts: list[str], parameters: Mapping[str, Any] = NONE) -> list[dict[str, Any]]:
        """Sends one request to the endpoint."""
        return self.predictions.predict(self.resource.existing(), texts, parameters).predictions

    def stream(self, text: str, parameters: Mapping[str, Any] = NONE) -> Iterator[str]:
        """Sends one text to the endpoint; a shared one does not stream."""
        return self.predictions.stream(self.resource.existing(), text, parameters)

    def alias(self, aliases: dict[str, int]) -> None:
        """Moves aliases, the champion's last."""
        for alias, version in sorted(aliases.items(), key=lambda entry: entry[0] == CHAMPION):
            self.retries.read(f"move the alias {alias}", functools.partial(self.registry.move, alias, version))

    def mark_rolled_back(self, fingerprint: str, date: str) -> None:
        """Labels the model's version."""
        self.resource.consistently("record the rollback", lambda: self.registry.mark(fingerprint, date))

    def forget(self, needed: set[int]) -> None:
        """Removes nothing: versions in the registry cost almost nothing."""

    def address(self) -> str:
        """The predict method's address; of a private endpoint without one, its name."""
        found = self.resource.find()
        if found is None:
            return self.endpoint
        try:
            return self.predictions.address(found)
        except UserError:
            return str(found.name)

    def samples(self) -> str:
        """None: Vertex logs requests to BigQuery, and has no route for feedback."""
        return ""

    def runs(self) -> bool:
        """Whether a version is deployed."""
        return bool(self.state().traffic)

    def stop(self) -> bool:
        """Undeploys every version: an endpoint without one costs nothing."""
        endpoint = self.resource.find()
        if endpoint is None or not endpoint.deployed_models:
            return False
        self.remove(self.resource.deployed(endpoint))
        return True

    def _await_address(self) -> None:
        """Waits until the endpoint has its address; without one, the first smoke request says why."""
        clock = self.operations.clock
        deadline = clock() + ADDRESS_SECONDS
        while self.predictions.awaits_address(self.resource.existing()) and clock() < deadline:
            self.retries.sleep(POLLS[-1])


def _bucket_address(model: Path) -> str:
    """The gs:// address of a path below /gcs, where Vertex mounts buckets."""
    parts = model.parts
    if parts[:2] != ("/", "gcs") or len(parts) < 4:
        raise UserError(f"model: {model} is not in Cloud Storage; Vertex serves models from there only")
    return "gs://" + "/".join(parts[2:])
