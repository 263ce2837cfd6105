"""What the decision path needs of a place that serves versions: a local endpoint, or one on Vertex."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

NONE: Mapping[str, Any] = MappingProxyType({})
# Aliases: the version that a challenger must beat, and the one before it, to which `seqline endpoint rollback` goes.
CHAMPION, PREVIOUS = "champion", "previous"


@dataclass(frozen=True)
class Reply:
    """A version's answer to one request.

    Attributes:
        text: What was sent.
        answer: What came back.
        milliseconds: How long it took.
    """

    text: str
    answer: str
    milliseconds: float


@dataclass(frozen=True)
class State:
    """What an endpoint serves.

    Attributes:
        traffic: Share of the requests in percent, by version; a version with 0 is deployed, too.
        aliases: Names of versions.
    """

    traffic: dict[int, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)

    @property
    def champion(self) -> int | None:
        """The version that is named so; before one is, the one with the largest share; None if nothing is served."""
        largest = max(self.traffic, key=lambda version: self.traffic[version], default=None)
        return self.aliases.get(CHAMPION, largest)


@dataclass(frozen=True)
class Registered:
    """A registered version.

    Attributes:
        version: Its number.
        fingerprint: Its model's fingerprint.
        created: When it was registered, ISO 8601.
        model: Where its model is: a folder, or gs://.
        figures: What it was blessed with, for a person to read.
    """

    version: int
    fingerprint: str
    created: str
    model: str
    figures: str


class BackEnd(Protocol):
    """A place that serves versions.

    Every method can be called again after it was interrupted, and then does what is still to be done. What is wrong is
    raised as UserError.

    Attributes:
        needs_share: Whether a version answers `ask` only while it has a share of the traffic.
    """

    needs_share: bool

    def locked(self) -> AbstractContextManager[None]:
        """Keeps other deployments to the same endpoint waiting."""

    def register(self, model: Path, fingerprint: str, figures: dict[str, float]) -> int:
        """Returns the number of a model's version, registering it if it is not yet."""

    def versions(self) -> list[Registered]:
        """Returns the registered versions, oldest first."""

    def prepare(self) -> None:
        """Finds the endpoint, or makes it, and sees to it that it runs."""

    def state(self) -> State:
        """Returns what the endpoint serves."""

    def add(self, version: int) -> None:
        """Deploys a version without a share, if it is not deployed yet; returns when it has loaded."""

    def split(self, traffic: dict[int, int]) -> None:
        """Sets the share of every deployed version; one that is not named is undeployed. Returns when that is so."""

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        """Sends a version one request for each text."""

    def predict(self, texts: list[str], parameters: Mapping[str, Any] = NONE) -> list[dict[str, Any]]:
        """Answers texts in one request: `{"text", "score"}` for each. Parameters say how to decode."""

    def alias(self, aliases: dict[str, int]) -> None:
        """Moves aliases to versions."""

    def forget(self, kept: set[int]) -> None:
        """Removes what is no longer needed beside the kept versions."""

    def address(self) -> str:
        """Returns where texts are sent."""

    def runs(self) -> bool:
        """Whether it can be asked."""

    def stop(self) -> bool:
        """Ends what runs, and keeps what is registered; returns whether anything ran."""
