"""The KServe back end: InferenceServices, and the endpoint's record in a ConfigMap."""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from seqline.endpoints.back_end import NONE, Registered, Reply, State, require_unchanged
from seqline.endpoints.kserve.cluster import Cluster, Object
from seqline.endpoints.kserve.hosting import Hosting
from seqline.endpoints.kserve.lock import Lock
from seqline.endpoints.kserve.placement import Placement, Site
from seqline.endpoints.kserve.record import Endpoint, History, Version, registered
from seqline.endpoints.kserve.requests import Requests
from seqline.endpoints.kserve.serverless import Serverless
from seqline.endpoints.kserve.standard import Standard, address
from seqline.endpoints.names import parts_of_kserve
from seqline.endpoints.sampling import folder_in
from seqline.errors import UserError

log = logging.getLogger(__name__)

# Folders below which KFP has the artifacts of a store: kfp/dsl/types/artifact_types.py. KServe reads MinIO by s3://,
# with the endpoint that the service account's secret names.
MOUNTS = {"gcs": "gs", "s3": "s3", "minio": "s3"}


class KServeBackEnd:
    """Serves versions from an InferenceService.

    Args:
        endpoint: kserve://NAMESPACE/NAME.
        hosting: How KServe hosts the versions; None for the predictors that they were registered with.
        seconds: Time limit for a version to load.

    Raises:
        UserError: If the endpoint's name has another form.
    """

    needs_share = False
    exclusive = True

    def __init__(self, endpoint: str, hosting: Hosting | None = None, seconds: float = 1800.0) -> None:
        namespace, self.name = parts_of_kserve(endpoint)
        self.endpoint, self.hosting, self.seconds = endpoint, hosting, seconds
        self.cluster = Cluster(namespace)
        self.history = History(self.cluster, self.name)
        self.lock = Lock(self.cluster, self.name)
        self._mode = ""
        self.requests = Requests(self.name, hosting.gateway if hosting else "")

    @property
    def most_served(self) -> int:
        """Two versions share the traffic in serverless mode, none in standard mode."""
        return self.placement.most_served

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes a second deployment wait, also one of another machine."""
        with self.lock.held():
            yield

    def register(self, model: Path, fingerprint: str, metrics: dict[str, float]) -> int:
        """Enters the model's address into the record; its files stay where they are."""
        hosting = self.hosting or Hosting()
        if not hosting.image:
            raise UserError("serving.image is empty; KServe needs the serving image to deploy a model, by its digest")
        self._require_mode(hosting)
        address = address_in_store(model)
        number = self.history.register(
            address, fingerprint, metrics, lambda version: hosting.predictor(self.name, version, address)
        )
        self.history.change(lambda record: replace(record, mode=record.mode or hosting.mode))
        return number

    def versions(self) -> list[Registered]:
        """The versions in the record."""
        return [registered(version) for version in self.history.read().versions]

    def prepare(self) -> None:
        """Checks that the lock is still this process's; the first version creates the InferenceService."""
        self.lock.require()

    def state(self) -> State:
        """Traffic from the InferenceService; aliases and rollbacks from the record."""
        record = self.history.read()
        return State(self._placement(record.mode).traffic() if record.mode else {}, record.aliases, record.rolled_back)

    def add(self, version: int) -> None:
        """Deploys a version without traffic; the first one has all of it at once."""
        self.placement.add(version)

    def split(self, traffic: Mapping[int, int], replaces: Mapping[int, int] | None = None) -> None:
        """Sets the shares; a version that is not deployed any more may be deployed again for it."""
        known = dict.fromkeys((version.version for version in self.history.read().versions), 0)

        def check(shares: Mapping[int, int]) -> None:
            require_unchanged(self.endpoint, State({**known, **shares}), traffic, replaces)

        self.placement.split(traffic, check)

    def remove(self, versions: Collection[int]) -> None:
        """Undeploys versions."""
        if versions:
            self.placement.remove(versions)

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        """Sends requests to the version's own address."""
        return self.requests.ask(self.placement.address_of(version), version, texts)

    def predict(self, texts: list[str], parameters: Mapping[str, Any] = NONE) -> list[dict[str, Any]]:
        """Sends one request to the endpoint's address."""
        return self.requests.predict(self._address, texts, parameters)

    def stream(self, text: str, parameters: Mapping[str, Any] = NONE) -> Iterator[str]:
        """Sends one text to the endpoint's address."""
        return self.requests.stream(self._address, text, parameters)

    def alias(self, aliases: dict[str, int]) -> None:
        """Moves all aliases in one step."""
        self._change(lambda record: replace(record, aliases={**record.aliases, **aliases}))

    def mark_rolled_back(self, fingerprint: str, date: str) -> None:
        """Records it beside the versions."""

        def marked(record: Endpoint) -> Endpoint:
            others = {known: when for known, when in record.rolled_back.items() if known != fingerprint}
            return replace(record, rolled_back={**others, fingerprint: date} if date else others)

        self._change(marked)

    def forget(self, needed: set[int]) -> None:
        """Removes the oldest versions from a long record; the files of their models stay."""
        self.history.forget(needed)

    def address(self) -> str:
        """The predict method's address; the endpoint's name while it has none."""
        try:
            return self.requests.method(self._address)
        except UserError:
            return self.endpoint

    def samples(self) -> str:
        """The address in the flags of the live version, or else of a deployed one."""
        state = self.state()
        for version in (state.champion, *state.traffic):
            if version is not None and (found := folder_in(self._version(version).predictor["containers"][0]["args"])):
                return found
        return ""

    def runs(self) -> bool:
        """Whether a version is deployed."""
        return bool(self.state().traffic)

    def stop(self) -> bool:
        """Deletes the InferenceServices; the record stays."""
        record = self.history.read()
        if not record.mode:
            return False
        with self.locked():
            traffic = self.placement.traffic()
            self.placement.remove(traffic)
        return bool(traffic)

    @property
    def placement(self) -> Placement:
        """The placement of the endpoint's deployment mode, which never changes."""
        if not self._mode:
            self._mode = self.history.read().mode
        return self._placement(self._mode or (self.hosting or Hosting()).mode)

    def _placement(self, mode: str) -> Placement:
        return self._serverless if mode == "serverless" else self._standard

    @cached_property
    def _standard(self) -> Standard:
        return Standard(self._site)

    @cached_property
    def _serverless(self) -> Serverless:
        return Serverless(self._site)

    @cached_property
    def _site(self) -> Site:
        return Site(self.cluster, self.name, self.seconds, self._inside, self._version, self.lock.require)

    def _version(self, number: int) -> Version:
        """A version with the predictor that serves it."""
        known = self.history.version(number)
        if self.hosting is None or not self.hosting.image:
            return known
        # The configuration counts where it is at hand, but a version keeps the image that it was tested with.
        made: Object = self.hosting.predictor(self.name, number, known.model)
        made["containers"][0]["image"] = known.predictor["containers"][0]["image"]
        return replace(known, predictor=made)

    def _require_mode(self, hosting: Hosting) -> None:
        mode = self.history.read().mode
        if mode and mode != hosting.mode:
            raise UserError(
                f"serving.deployment_mode: {self.endpoint} is in {mode} mode, and KServe cannot change that to "
                f"{hosting.mode}; leave it, or choose another endpoint"
            )

    def _change(self, alter: Any) -> None:
        def altered(record: Endpoint) -> Endpoint:
            changed: Endpoint = alter(record)
            return changed

        self.history.change(altered)

    @property
    def _address(self) -> str:
        return address(self._site.service(), self._inside)

    @property
    def _inside(self) -> bool:
        """Whether requests go to services: a gateway knows the public names only."""
        return self.cluster.inside and not self.requests.gateway


def address_in_store(model: Path) -> str:
    """Returns the address at which KServe reads a model.

    Args:
        model: A folder below /gcs, /s3 or /minio, where KFP has the artifacts of these stores.

    Raises:
        UserError: If it is another folder.
    """
    parts = model.parts
    if len(parts) < 4 or parts[0] != "/" or parts[1] not in MOUNTS:
        raise UserError(
            f"model: {model} is not in an object store, and KServe reads models from s3:// and gs:// only; run the "
            "pipeline on Kubeflow or Vertex, whose artifacts are there"
        )
    return f"{MOUNTS[parts[1]]}://{'/'.join(parts[2:])}"
