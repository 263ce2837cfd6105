"""The record of an endpoint on KServe: a ConfigMap beside the InferenceService.

    data:
      endpoint.json: {"schema_version", "mode", "versions": [...], "aliases": {"champion": 2}, "rolled_back": {...}}

Annotations of the InferenceService would not do: KServe copies them into the template of the pods
(pkg/controller/v1beta1/inferenceservice/components/predictor.go, `buildObjectMeta`), so each moved alias would start
new pods; and they end with the InferenceService. A ConfigMap holds 1 MiB
(kubernetes.io/docs/concepts/configuration/configmap), and an entry is about 1 KiB.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from seqline.artifacts.record import Record, Schema
from seqline.endpoints.back_end import Registered, is_of
from seqline.endpoints.kserve.cluster import CONFIG_MAP, Cluster, Object
from seqline.endpoints.local_endpoint import now
from seqline.errors import UserError

FILE = "endpoint.json"
LABEL, ENDPOINT_LABEL = "app.kubernetes.io/managed-by", "seqline"
SELECTOR = f"{LABEL}={ENDPOINT_LABEL}"
SUFFIX = "-seqline"
# Versions without an alias or traffic that stay in the record.
KEPT = 300


@dataclass(frozen=True)
class Version:
    """A registered version.

    Attributes:
        version: Its number.
        fingerprint: Its model's fingerprint.
        created: Time of registration, ISO 8601.
        model: Its model's address: s3:// or gs://.
        predictor: The predictor that serves it: `seqline.endpoints.kserve.hosting.Hosting.predictor`.
        metrics: The challenger's metrics in the decision that blessed it.
    """

    version: int
    fingerprint: str
    created: str
    model: str
    predictor: dict[str, Any]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Endpoint(Record):
    """The content of the record.

    Attributes:
        mode: The deployment mode: standard or serverless; empty before the first deployment.
        versions: The registered versions, oldest first.
        aliases: Numbers of versions by alias.
        rolled_back: Dates of rollbacks by the model's fingerprint.
        last: The highest number that a version has had.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="correct the ConfigMap, or delete it to forget the versions")

    mode: str = ""
    versions: list[Version] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)
    rolled_back: dict[str, str] = field(default_factory=dict)
    last: int = 0


@dataclass(frozen=True)
class History:
    """Reads and changes an endpoint's record.

    Attributes:
        cluster: The namespace.
        name: The endpoint's name.
    """

    cluster: Cluster
    name: str

    def read(self) -> Endpoint:
        """Returns the record; an empty one if there is none.

        Raises:
            UserError: If it cannot be read.
        """
        return self._content(self.cluster.get(CONFIG_MAP, self.name + SUFFIX))

    def change(self, alter: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Changes the record; a change of someone else is not overwritten.

        Args:
            alter: From the record to the record as it shall be; it may be called several times.
        """

        def altered(found: Object | None) -> Object:
            before = self._content(found)
            after = alter(before)
            if found is not None and after == before:
                return found
            made = found or {
                "apiVersion": CONFIG_MAP.version,
                "kind": CONFIG_MAP.name,
                "metadata": {
                    "name": self.name + SUFFIX,
                    "namespace": self.cluster.namespace,
                    "labels": {LABEL: ENDPOINT_LABEL},
                },
            }
            return {**made, "data": {**(made.get("data") or {}), FILE: after.to_json()}}

        return self._content(self.cluster.change(CONFIG_MAP, self.name + SUFFIX, altered))

    def register(
        self,
        model: str,
        fingerprint: str,
        metrics: Mapping[str, float],
        predictor: Callable[[int], dict[str, Any]],
    ) -> int:
        """Returns the number of a model's version, which is registered first if needed.

        Args:
            model: The model's address.
            fingerprint: Its fingerprint.
            metrics: The challenger's metrics.
            predictor: Returns the predictor that serves the version of a number.
        """

        def registered(record: Endpoint) -> Endpoint:
            known = _find(record, fingerprint)
            if known:
                # The same model again, perhaps at another address: its old files may be gone.
                fresh = replace(known, model=model, predictor=predictor(known.version))
                return replace(record, versions=[fresh if one is known else one for one in record.versions])
            number = max([record.last, *(one.version for one in record.versions)]) + 1
            version = Version(number, fingerprint, now(), model, predictor(number), dict(metrics))
            return replace(record, versions=[*record.versions, version], last=number)

        found = _find(self.change(registered), fingerprint)
        if found is None:
            raise UserError(f"{self.name}: someone else removed the version that was registered; deploy again")
        return found.version

    def version(self, number: int) -> Version:
        """Returns a registered version.

        Args:
            number: Its number.

        Raises:
            UserError: If there is none.
        """
        for known in self.read().versions:
            if known.version == number:
                return known
        raise UserError(f"version {number} is not in the record of {self.name}; deploy its model again")

    def forget(self, needed: set[int]) -> None:
        """Removes the oldest versions, so that the record stays within a ConfigMap's size.

        Args:
            needed: Versions that stay.
        """

        def shortened(record: Endpoint) -> Endpoint:
            others = [known for known in record.versions if known.version not in needed]
            gone = {known.version for known in others[:-KEPT]}
            return replace(record, versions=[known for known in record.versions if known.version not in gone])

        self.change(shortened)

    def _content(self, found: Object | None) -> Endpoint:
        text = ((found or {}).get("data") or {}).get(FILE)
        origin = f"the ConfigMap {self.cluster.namespace}/{self.name}{SUFFIX}"
        return Endpoint.from_json(text, origin) if text else Endpoint()


def _find(record: Endpoint, fingerprint: str) -> Version | None:
    return next((known for known in record.versions if is_of(known.fingerprint, fingerprint)), None)


def registered(version: Version) -> Registered:
    """Returns a version as every back end has them.

    Args:
        version: As the record has it.
    """
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in version.metrics.items())
    return Registered(version.version, version.fingerprint, version.created, version.model, metrics)


def names(cluster: Cluster) -> list[str]:
    """Returns the names of the endpoints in a namespace, by their records.

    Args:
        cluster: The namespace.
    """
    found: list[Any] = cluster.list(CONFIG_MAP, SELECTOR)
    known = (one["metadata"]["name"] for one in found if FILE in (one.get("data") or {}))
    return sorted(name.removesuffix(SUFFIX) for name in known if name.endswith(SUFFIX))
