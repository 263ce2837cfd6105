"""The interface of a service that serves versions: a local endpoint, or one on Vertex or KServe."""

from collections.abc import Collection, Iterator, Mapping
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


def is_of(registered: str, fingerprint: str) -> bool:
    """Whether a registered fingerprint is a model's; Vertex stores the beginning as a label.

    Args:
        registered: As registered; an empty one is no model's.
        fingerprint: The model's.
    """
    return bool(registered) and registered in (fingerprint, label_of(fingerprint))


class ChangedError(UserError):
    """Someone else has changed the endpoint since it was read."""


@dataclass(frozen=True)
class Reply:
    """A version's answer to one request.

    Attributes:
        text: The request's text.
        answer: The model's output.
        milliseconds: Latency of the prediction: neither connecting nor authentication is part of it.
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
        rolled_back: Date of the rollback by the fingerprint of the model, as it was registered. Such a model is
            deployed again only if a person allows it.
    """

    traffic: dict[int, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    rolled_back: dict[str, str] = field(default_factory=dict)

    @property
    def shares(self) -> dict[int, int]:
        """The versions that have a share of the traffic."""
        return {version: share for version, share in self.traffic.items() if share}

    def when_rolled_back(self, fingerprint: str) -> str:
        """Returns the date on which a model was rolled back; empty if it was not.

        Args:
            fingerprint: The model's.
        """
        return next((when for known, when in self.rolled_back.items() if is_of(known, fingerprint)), "")

    @property
    def champion(self) -> int | None:
        """The version with that alias; without one, the version with the largest share; None if nothing is served."""
        largest = max(self.shares, key=lambda version: self.traffic[version], default=None)
        return self.aliases.get(CHAMPION, largest)


@dataclass(frozen=True)
class Registered:
    """A registered version.

    Attributes:
        version: Its number.
        fingerprint: Its model's fingerprint.
        created: Time of registration, ISO 8601.
        model: Its model's address: a folder, gs:// or s3://.
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
        exclusive: Whether nobody else changes the endpoint while `locked` is held.
    """

    needs_share: bool
    exclusive: bool

    @property
    def most_served(self) -> int | None:
        """Largest number of versions that share the traffic; None for any."""

    def locked(self) -> AbstractContextManager[None]:
        """Makes other deployments to the same endpoint wait, where that is possible."""

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

    def split(self, traffic: Mapping[int, int], replaces: Mapping[int, int] | None = None) -> None:
        """Sets the shares of versions; every other deployed version gets 0. Returns when that is done.

        Args:
            traffic: Shares in percent, of deployed versions.
            replaces: The shares that the caller has seen; None to replace any.

        Raises:
            ChangedError: If the shares are others than the caller has seen.
        """

    def remove(self, versions: Collection[int]) -> None:
        """Undeploys versions, and stops deploying those that are still on their way; the others keep their shares."""

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        """Sends a version one request for each text."""

    def predict(self, texts: list[str], parameters: Mapping[str, Any] = NONE) -> list[dict[str, Any]]:
        """Sends texts in one request; returns `{"text", "score"}` for each. Parameters are decoding options.

        Raises:
            RefusedError: If the endpoint refuses the texts or the parameters.
        """

    def stream(self, text: str, parameters: Mapping[str, Any] = NONE) -> Iterator[str]:
        """Sends one text and yields the pieces of its answer as they arrive.

        Raises:
            RefusedError: If the endpoint refuses the text or the parameters.
        """

    def alias(self, aliases: dict[str, int]) -> None:
        """Moves aliases to versions."""

    def mark_rolled_back(self, fingerprint: str, date: str) -> None:
        """Records that a model was rolled back.

        Args:
            fingerprint: The model's, as it was registered.
            date: The date; empty to allow the model again.
        """

    def forget(self, needed: set[int]) -> None:
        """Removes the registered versions except these, where storing them is expensive."""

    def address(self) -> str:
        """Returns the address of the predict method."""

    def samples(self) -> str:
        """Returns the folder or address of the samples and of feedback; empty if the server has sampled nothing."""

    def runs(self) -> bool:
        """Whether it answers requests."""

    def stop(self) -> bool:
        """Stops serving and keeps the registered versions; returns whether anything ran."""


def require_unchanged(
    endpoint: str, state: State, traffic: Mapping[int, int], replaces: Mapping[int, int] | None
) -> None:
    """Checks that a split replaces the shares that its author has seen.

    Args:
        endpoint: The endpoint's name, for the message.
        state: Its state now.
        traffic: The split to set; it may be set already, when the response was lost.
        replaces: The shares that were seen; None for any.

    Raises:
        ChangedError: If the shares are others, or a version of the split is no longer deployed.
    """
    gone = [version for version, share in traffic.items() if share and version not in state.traffic]
    if gone:
        raise ChangedError(f"version {gone[0]} is no longer deployed on {endpoint}: someone else undeployed it")
    wanted, seen = State(dict(traffic)).shares, None if replaces is None else State(dict(replaces)).shares
    if seen is not None and state.shares not in (seen, wanted):
        raise ChangedError(
            f"someone else changed the traffic of {endpoint} in the meantime, from {_text(seen)} to "
            f"{_text(state.shares)}"
        )


def _text(shares: Mapping[int, int]) -> str:
    return " ".join(f"{version}:{share}%" for version, share in sorted(shares.items())) or "none"
