"""The Vertex back end: the Model Registry and an endpoint, through Google's client library.

endpoint               projects/P/locations/L/endpoints/NAME; created with that id if it does not exist, unless NAME is
                       a number, as an endpoint made in the console has
model in the registry  projects/P/locations/L/models/NAME, or endpoint-NAME of a number; see
                       seqline.endpoints.vertex_registry
a deployed model's id  its version's number, so that no version is deployed twice
an endpoint's label    seqline-abandoned-N: the stage gave up deploying version N, which the next one undeploys
"""

import contextlib
import functools
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqline.endpoints.back_end import (
    CHAMPION,
    NONE,
    ChangedError,
    Registered,
    Reply,
    State,
    require_unchanged,
)
from seqline.endpoints.names import ENDPOINT, model_id
from seqline.endpoints.vertex_hosting import Hosting, kind_of, require_as_made
from seqline.endpoints.vertex_predictions import Predictions
from seqline.endpoints.vertex_registry import Registry
from seqline.errors import UserError
from seqline.vertex_api.clients import connect
from seqline.vertex_api.errors import transient_errors
from seqline.vertex_api.operations import Operations, TimeLimitError
from seqline.vertex_api.retries import Retries

log = logging.getLogger(__name__)

ABANDONED = "seqline-abandoned-"
# Seconds before each further attempt.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# Seconds between two looks at a long operation.
POLLS = (1.0, 2.0, 4.0, 8.0, 15.0)
# Time limit for a deployment to end that the stage gave up: it usually takes ten minutes.
GRACE_SECONDS = 900.0
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
        self.parent, self.location, self.name = named.groups()
        self.endpoint, self.hosting, self.seconds = endpoint, hosting, seconds
        self.types = aiplatform_v1
        self.endpoints = connect(aiplatform_v1.EndpointServiceClient, self.location, api_endpoint)
        self.predictions = Predictions(self.location, api_endpoint, hosting.access)
        self.retries = Retries(PAUSES, _explained, _is_transient, _is_conflict)
        self.operations = Operations(self.endpoints, self.retries, seconds, POLLS)
        models = connect(aiplatform_v1.ModelServiceClient, self.location, api_endpoint)
        self.registry = Registry(self.parent, self.name, models, self.operations, hosting)
        # Versions whose deployment this process has not seen ending, and the operation's name if the response had it.
        self.begun: dict[int, str] = {}

    def locked(self) -> AbstractContextManager[None]:
        """No lock: every write names what it replaces, and is refused if somebody else has changed that."""
        return contextlib.nullcontext()

    def register(self, model: Path, fingerprint: str, metrics: dict[str, float]) -> int:
        """Uploads the model as a version of the registry's model."""
        endpoint = self.retries.read("look up the endpoint", self._endpoint)
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
        project = self.parent.split("/")[1]

        def create() -> Any:
            log.info("creating the endpoint %s", self.endpoint)
            endpoint = self.types.Endpoint(
                display_name=self.name,
                labels=dict(self.hosting.labels),
                **self.hosting.access.fields(project),
                **self.hosting.encryption(),
            )
            request = {"parent": self.parent, "endpoint": endpoint, "endpoint_id": self.name}
            return self.endpoints.create_endpoint(request=request)

        operations = self.operations
        found = operations.finish("create the endpoint", self._endpoint, create, "CreateEndpoint", [self.endpoint])
        require_as_made(found, self.hosting, self.endpoint)
        if self.hosting.labels:
            self._consistently("label the endpoint", self._label)
        if self.hosting.access.logged:
            self._consistently("log requests to BigQuery", functools.partial(self._log_requests, project))
        if self.hosting.access.timeout:
            self._limit()

    def state(self) -> State:
        """Traffic from the endpoint; aliases and rollbacks from the registry."""
        return State(self._traffic(self._endpoint()), *self.registry.names())

    def add(self, version: int) -> None:
        """Deploys a version; the first one on an endpoint must take all traffic at once."""
        self._require_own(self._endpoint())
        self._undeploy_abandoned(version)
        self.begun[version] = ""

        def deploy() -> Any:
            endpoint = self._endpoint()
            log.info("deploying version %d on Vertex; this takes about ten minutes", version)
            deployed = self.types.DeployedModel(
                id=str(version),
                model=f"{self.registry.model}@{version}",
                display_name=f"{self.name}-{version}",
                service_account=self.hosting.machine.service_account,
                dedicated_resources=self.hosting.machine.resources(),
            )
            request: dict[str, Any] = {"endpoint": endpoint.name, "deployed_model": deployed}
            if not endpoint.deployed_models:
                # Otherwise the split is left out: it would undo a change of the next ten minutes.
                request["traffic_split"] = {"0": 100}
            started = self.endpoints.deploy_model(request=request)
            self.begun[version] = started.operation.name
            return started

        self.operations.finish(
            f"deploy version {version}",
            lambda: version in self._deployed(self._endpoint()) or None,
            deploy,
            "DeployModel",
            self._parents(),
        )
        del self.begun[version]
        self._await_address()

    def split(self, traffic: Mapping[int, int], replaces: Mapping[int, int] | None = None) -> None:
        """Sets the traffic split; the endpoint's etag excludes a change between reading and writing."""

        def change() -> None:
            endpoint = self._endpoint()
            self._require_no_others(endpoint)
            require_unchanged(self.endpoint, State(self._traffic(endpoint)), traffic, replaces)
            if endpoint is not None:
                deployed = self._deployed(endpoint)
                self._set_split(endpoint, {number: traffic.get(version, 0) for version, number in deployed.items()})

        self._consistently("change the traffic split", change)

    def remove(self, versions: Collection[int]) -> None:
        """Undeploys versions, by the ids of their deployed models.

        A deployment that this process has begun, and that is still on its way, is cancelled, or undeployed when it
        ends. If that takes too long, the next deployment undeploys it.
        """
        if not versions:
            return
        late = [version for version in versions if self._give_up(version)]
        shares: dict[int, int] = {}

        def free() -> None:
            endpoint = self._endpoint()
            deployed = self._deployed(endpoint)
            traffic = self._traffic(endpoint)
            shares.clear()
            shares.update({version: traffic[version] for version in traffic if version in versions})
            if not any(shares.values()) or len(endpoint.deployed_models) == 1:
                return
            self._require_no_others(endpoint)
            if any(share for version, share in traffic.items() if version not in shares):
                used = next(version for version, share in shares.items() if share)
                raise ChangedError(f"version {used} has {shares[used]}% of the traffic, so it is not undeployed")
            # Only a version without traffic can be undeployed, or the last one.
            last = max(shares, key=lambda version: shares[version])
            self._set_split(endpoint, {deployed[last]: 100} if len(shares) == len(endpoint.deployed_models) else {})

        self._consistently("take the traffic from the versions to undeploy", free)
        for version in sorted(shares, key=lambda version: shares[version]):
            self._undeploy(version)
        if late and not self._running_deployments():
            self._set_abandoned(late, False)

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        """Sends requests to the endpoint until the version itself has answered every text."""
        endpoint = self._endpoint()
        share = self._traffic(endpoint).get(version, 0)
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
        return self.predictions.predict(self._existing(), texts, parameters).predictions

    def stream(self, text: str, parameters: Mapping[str, Any] = NONE) -> Iterator[str]:
        """Sends one text to the endpoint; a shared one does not stream."""
        return self.predictions.stream(self._existing(), text, parameters)

    def alias(self, aliases: dict[str, int]) -> None:
        """Moves aliases, the champion's last."""
        for alias, version in sorted(aliases.items(), key=lambda entry: entry[0] == CHAMPION):
            self.retries.read(f"move the alias {alias}", functools.partial(self.registry.move, alias, version))

    def mark_rolled_back(self, fingerprint: str, date: str) -> None:
        """Labels the model's version."""
        self._consistently("record the rollback", lambda: self.registry.mark(fingerprint, date))

    def forget(self, needed: set[int]) -> None:
        """Removes nothing: versions in the registry cost almost nothing."""

    def address(self) -> str:
        """The predict method's address; of a private endpoint without one, its name."""
        found = self._endpoint()
        if found is None:
            return self.endpoint
        try:
            return self.predictions.address(found)
        except UserError:
            return str(found.name)

    def runs(self) -> bool:
        """Whether a version is deployed."""
        return bool(self.state().traffic)

    def stop(self) -> bool:
        """Undeploys every version: an endpoint without one costs nothing."""
        endpoint = self._endpoint()
        if endpoint is None or not endpoint.deployed_models:
            return False
        self.remove(self._deployed(endpoint))
        return True

    def _endpoint(self) -> Any:
        """The endpoint by its id, or by its display name; None if there is none, and its id is free."""
        from google.api_core.exceptions import NotFound

        try:
            return self.endpoints.get_endpoint(name=self.endpoint)
        except NotFound:
            if self.name.isdecimal():
                raise UserError(
                    f"there is no endpoint {self.endpoint}; a number is the id of an existing one: correct it, or "
                    "write a name, under which one is created"
                ) from None
            request = {"parent": self.parent, "filter": f'display_name="{self.name}"'}
            return next(iter(self.endpoints.list_endpoints(request=request)), None)

    def _deployed(self, endpoint: Any) -> dict[int, str]:
        """Ids of the deployed models, by version; of one that somebody else deployed again, this pipeline's."""
        found: dict[int, str] = {}
        for deployed in endpoint.deployed_models if endpoint else ():
            version = int(deployed.model_version_id)
            if self._is_own(deployed) and (version not in found or deployed.id == str(version)):
                found[version] = deployed.id
        return found

    def _is_own(self, deployed: Any) -> bool:
        return bool(deployed.model.rpartition("/")[2] == model_id(self.name))

    def _require_own(self, endpoint: Any) -> None:
        for deployed in endpoint.deployed_models if endpoint else ():
            if not self._is_own(deployed):
                raise UserError(
                    f"{self.endpoint} serves {deployed.model}, which is not of this pipeline; choose another endpoint"
                )

    def _require_no_others(self, endpoint: Any) -> None:
        """Checks that no deployed model but this pipeline's versions has a share of the traffic."""
        known = self._deployed(endpoint).values()
        for deployed in endpoint.deployed_models if endpoint else ():
            share = endpoint.traffic_split.get(deployed.id, 0)
            if share and deployed.id not in known:
                raise ChangedError(
                    f"somebody else deployed {deployed.model} to {self.endpoint} meanwhile and gave it {share}% of the "
                    "traffic"
                )

    def _traffic(self, endpoint: Any) -> dict[int, int]:
        deployed = self._deployed(endpoint)
        return {version: endpoint.traffic_split.get(deployed[version], 0) for version in sorted(deployed)}

    def _set_split(self, endpoint: Any, split: dict[str, int]) -> None:
        before, after = (
            {number: share for number, share in one.items() if share} for one in (endpoint.traffic_split, split)
        )
        if before != after:
            self._update(endpoint, "traffic_split", split)

    def _update(self, endpoint: Any, field: str, value: dict[str, Any]) -> None:
        """Changes a field of the endpoint, unless somebody else has changed the endpoint since it was read."""
        changed = self.types.Endpoint(
            name=endpoint.name, display_name=endpoint.display_name, etag=endpoint.etag, **{field: value}
        )
        self.endpoints.update_endpoint(endpoint=changed, update_mask={"paths": [field]})

    def _consistently(self, what: str, change: Callable[[], None]) -> None:
        """Reads, compares and writes again if somebody else wrote in between."""
        replace(self.retries, transient=lambda error: _is_transient(error) or _is_stale(error)).read(what, change)

    def _undeploy(self, version: int) -> None:
        def undeploy() -> Any:
            endpoint = self._endpoint()
            log.info("undeploying version %d from Vertex", version)
            number = self._deployed(endpoint).get(version, str(version))
            return self.endpoints.undeploy_model(request={"endpoint": endpoint.name, "deployed_model_id": number})

        self.operations.finish(
            f"undeploy version {version}",
            lambda: version not in self._deployed(self._endpoint()) or None,
            undeploy,
            "UndeployModel",
            self._parents(),
        )

    def _parents(self) -> list[str]:
        """The resource whose operations are listed: the endpoint may have been found by its display name."""
        endpoint = self._endpoint()
        return [endpoint.name if endpoint is not None else self.endpoint]

    def _running_deployments(self) -> list[str]:
        return self.retries.read("list the operations", lambda: self.operations.running("DeployModel", self._parents()))

    def _give_up(self, version: int) -> bool:
        """Cancels a deployment that this process has begun, and waits for its end; returns whether it was running."""
        from google.api_core.exceptions import GoogleAPICallError

        own = self.begun.pop(version, None)
        if own is None or version in self._deployed(self._endpoint()):
            return False
        # Without its name it is one of those that run; another one is waited for, but not cancelled.
        names = [name for name in self._running_deployments() if own in ("", name)]
        if not names:
            return False
        # First, because this process may be killed while it waits.
        self._set_abandoned([version], True)
        deadline = self.operations.clock() + GRACE_SECONDS
        for name in names:
            if own:
                self.operations.cancel(name)
            try:
                self.operations.wait(f"end {name}", name, deadline)
            except TimeLimitError:
                log.warning("version %d may still be deployed; the next deployment undeploys it", version)
            except GoogleAPICallError as error:
                log.info("version %d was not deployed: %s", version, error)
        return True

    def _set_abandoned(self, versions: Collection[int], abandoned: bool) -> None:
        names = {f"{ABANDONED}{version}" for version in versions}

        def mark() -> None:
            endpoint = self._endpoint()
            others = {name: value for name, value in endpoint.labels.items() if name not in names}
            labels = {**others, **dict.fromkeys(names, "true")} if abandoned else others
            if labels != dict(endpoint.labels):
                self._update(endpoint, "labels", labels)

        self._consistently("record an abandoned deployment", mark)

    def _undeploy_abandoned(self, candidate: int) -> None:
        """Undeploys the versions that earlier stages gave up, unless they are in use by now."""
        endpoint = self._endpoint()
        labels = endpoint.labels if endpoint is not None else {}
        named = {int(name.removeprefix(ABANDONED)) for name in labels if re.fullmatch(ABANDONED + r"\d+", name)}
        if not named:
            return
        self._set_abandoned([candidate], False)
        state = self.state()
        used = {candidate, *state.shares, *state.aliases.values()}
        self.remove((named & state.traffic.keys()) - used)
        if not self._running_deployments():
            self._set_abandoned(named, False)

    def _await_address(self) -> None:
        """Waits until the endpoint has its address; without one, the first smoke request says why."""
        clock = self.operations.clock
        deadline = clock() + ADDRESS_SECONDS
        while self.predictions.awaits_address(self._existing()) and clock() < deadline:
            self.retries.sleep(POLLS[-1])

    def _existing(self) -> Any:
        endpoint = self._endpoint()
        if endpoint is None:
            raise UserError(f"there is no endpoint {self.endpoint}")
        return endpoint

    def _label(self) -> None:
        """Adds the labels that an existing endpoint lacks."""
        endpoint = self._endpoint()
        labels = {**endpoint.labels, **self.hosting.labels}
        if labels != dict(endpoint.labels):
            self._update(endpoint, "labels", labels)

    def _log_requests(self, project: str) -> None:
        """Makes an existing endpoint log its requests; a table that nobody names stays the one it has."""
        endpoint = self._endpoint()
        known, access = endpoint.predict_request_response_logging_config, self.hosting.access
        table = known.bigquery_destination.output_uri
        same = table == access.log_table if access.log_table else bool(table)
        if not (known.enabled and same and abs(known.sampling_rate - access.logged) < 1e-9):
            wanted = access.logging(project)
            if same:
                wanted["bigquery_destination"] = {"output_uri": table}
            self._update(endpoint, "predict_request_response_logging_config", wanted)

    def _limit(self) -> None:
        """Sets the time limit of an existing endpoint's requests; no other update changes it."""
        seconds = self.hosting.access.timeout

        def look() -> bool | None:
            limit = self._endpoint().client_connection_config.inference_timeout
            return True if limit and limit.total_seconds() == seconds else None

        def start() -> Any:
            endpoint = self._endpoint()
            changed = self.types.Endpoint(
                name=endpoint.name,
                display_name=endpoint.display_name,
                etag=endpoint.etag,
                client_connection_config={"inference_timeout": {"seconds": seconds}},
            )
            return self.endpoints.update_endpoint_long_running(request={"endpoint": changed})

        self.operations.finish("set the time limit of requests", look, start, "UpdateEndpoint", self._parents())


def _is_transient(error: Exception) -> bool:
    from google.api_core.exceptions import InternalServerError

    return isinstance(error, (*transient_errors(), InternalServerError))


def _is_conflict(error: Exception) -> bool:
    """Whether the resource exists already; over REST every 409 has the same class."""
    from google.api_core.exceptions import Conflict

    return isinstance(error, Conflict)


def _is_stale(error: Exception) -> bool:
    """Whether an etag is not the resource's any more: ABORTED, see AIP-154, or a failed precondition."""
    from google.api_core.exceptions import Conflict, FailedPrecondition, PreconditionFailed

    return isinstance(error, (Conflict, FailedPrecondition, PreconditionFailed))


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
        if all(_model_of(deployed) in _models_of(endpoint) for deployed in endpoint.deployed_models)
    )


def _model_of(deployed: Any) -> str:
    """The id of a deployed model, without its version."""
    return str(deployed.model).rpartition("/")[2].partition("@")[0]


def _models_of(endpoint: Any) -> set[str]:
    """The ids that this module gives the model of an endpoint, which is named by its id or its display name."""
    return {model_id(endpoint.name.rpartition("/")[2]), model_id(endpoint.display_name)}


def _bucket_address(model: Path) -> str:
    """The gs:// address of a path below /gcs, where Vertex mounts buckets."""
    parts = model.parts
    if parts[:2] != ("/", "gcs") or len(parts) < 4:
        raise UserError(f"model: {model} is not in Cloud Storage; Vertex serves models from there only")
    return "gs://" + "/".join(parts[2:])
