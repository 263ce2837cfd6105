"""The interface of a service that serves versions: a local endpoint, or one on Vertex."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from seqline.errors import UserError

NONE: Mapping[str, Any] = MappingProxyType({})
# Aliases: the version that a challenger must beat; the one before it, which `seqline endpoint rollback` restores; and
# the best version so far by its headline metric.
CHAMPION, PREVIOUS, BEST = "champion", "previous", "best"


class RefusedError(UserError):
    """A request that the endpoint refuses because of its texts or parameters; it may answer others."""


def label_of(fingerprint: str) -> str:
    """Returns the label that Vertex stores a model's fingerprint as: at most 63 lower-case characters.

    Args:
        fingerprint: The model's.
    """
    return fingerprint[:63].lower()


@dataclass(frozen=True)
class Reply:
    """A version's answer to one request.

    Attributes:
        text: The request's text.
        answer: The model's output.
        milliseconds: Latency.
    """

    text: str
    answer: str
    milliseconds: float


@dataclass(frozen=True)
class State:
    """The versions that an endpoint serves.

    Attributes:
        traffic: Share of the requests in percent, by version; a version with 0 is deployed too.
        aliases: Names of versions.
    """

    traffic: dict[int, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)

    @property
    def champion(self) -> int | None:
        """The version with that alias; without one, the version with the largest share; None if nothing is served."""
        largest = max(self.traffic, key=lambda version: self.traffic[version], default=None)
        return self.aliases.get(CHAMPION, largest)


@dataclass(frozen=True)
class Registered:
    """A registered version.

    Attributes:
        version: Its number.
        fingerprint: Its model's fingerprint.
        created: Time of registration, ISO 8601.
        model: Its model's address: a folder, or gs://.
        metrics: Metrics of the decision that blessed it, as text.
    """

    version: int
    fingerprint: str
    created: str
    model: str
    metrics: str


class BackEnd(Protocol):
    """A service that serves versions.

    Every method can be called again after an interruption, and then does the remaining work. Errors of the user or the
    service are raised as UserError.

    Attributes:
        needs_share: Whether a version answers `ask` only while it has a share of the traffic.
    """

    needs_share: bool

    def locked(self) -> AbstractContextManager[None]:
        """Makes other deployments to the same endpoint wait."""

    def register(self, model: Path, fingerprint: str, metrics: dict[str, float]) -> int:
        """Returns the number of a model's version, which is registered first if needed."""

    def versions(self) -> list[Registered]:
        """Returns the registered versions, oldest first."""

    def prepare(self) -> None:
        """Creates the endpoint if there is none, and starts it."""

    def state(self) -> State:
        """Returns the endpoint's state."""

    def add(self, version: int) -> None:
        """Deploys a version without traffic, unless it is deployed; returns when it has loaded."""

    def split(self, traffic: dict[int, int]) -> None:
        """Sets the share of every deployed version and undeploys the others; returns when that is done."""

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        """Sends a version one request for each text."""

    def predict(self, texts: list[str], parameters: Mapping[str, Any] = NONE) -> list[dict[str, Any]]:
        """Sends texts in one request; returns `{"text", "score"}` for each. Parameters are decoding options.

        Raises:
            RefusedError: If the endpoint refuses the texts or the parameters.
        """

    def alias(self, aliases: dict[str, int]) -> None:
        """Moves aliases to versions."""

    def forget(self, needed: set[int]) -> None:
        """Removes the registered versions except these, where storing them is expensive."""

    def address(self) -> str:
        """Returns the address of the predict method."""

    def runs(self) -> bool:
        """Whether it answers requests."""

    def stop(self) -> bool:
        """Stops serving and keeps the registered versions; returns whether anything ran."""
