"""Where a server's versions come from: a local endpoint's folder, or a serving container's one model."""

import logging
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from seqline.endpoints.local_endpoint import Endpoint
from seqline.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What is to be served.

    Attributes:
        traffic: Share of the requests in percent, by version; one with 0 answers by its number only.
        aliases: Names of versions.
    """

    traffic: dict[int, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)


class Source(Protocol):
    """What a server has to serve."""

    def wanted(self) -> Wanted:
        """Which versions are to be served, and how much each."""

    def model(self, version: int) -> Path | None:
        """A version's model folder, fetched first where needed; None where there is no such version."""


class EndpointSource:
    """The registered versions of a local endpoint; endpoint.json says what is deployed.

    Args:
        endpoint: The endpoint.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def wanted(self) -> Wanted:
        """What endpoint.json says."""
        settings = self.endpoint.read()
        return Wanted(settings.traffic, settings.aliases) if settings else Wanted()

    def model(self, version: int) -> Path | None:
        """A registered version's folder."""
        return self.endpoint.model(version) if self.endpoint.version(version) else None


class StorageSource:
    """The one model of a serving container, its version 1; a bucket's model is copied here when it is first asked for.

    Args:
        place: The exported model: a folder, or an address such as gs://bucket/model.

    Raises:
        UserError: If it is a local folder that holds no SavedModel.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._fetched: tempfile.TemporaryDirectory[str] | None = None
        if "://" not in place and not (Path(place) / "saved_model.pb").is_file():
            raise UserError(f"{place} holds no SavedModel: saved_model.pb is missing")

    def wanted(self) -> Wanted:
        """All traffic to version 1."""
        return Wanted({1: 100})

    def model(self, version: int) -> Path | None:
        """Version 1's folder."""
        if version != 1:
            return None
        if "://" not in self.place:
            return Path(self.place)
        if self._fetched is None:
            self._fetched = self._fetch()
        return Path(self._fetched.name)

    def _fetch(self) -> "tempfile.TemporaryDirectory[str]":
        # Else gcsfs asks each bucket for its type over gRPC first, which takes a minute where that is not allowed.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        import fsspec

        log.info("copying the model from %s", self.place)
        folder = tempfile.TemporaryDirectory(prefix="model.")
        try:
            files, root = fsspec.core.url_to_fs(self.place.rstrip("/"))
            found = files.find(root)
            if f"{root}/saved_model.pb" not in found:
                raise FileNotFoundError
            for file in found:
                path = Path(folder.name) / str(file).removeprefix(root).lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                files.get_file(file, str(path))
        except FileNotFoundError:
            raise UserError(f"{self.place} holds no SavedModel: saved_model.pb is missing") from None
        except Exception as error:  # each file system has errors of its own
            raise UserError(f"the model cannot be copied from {self.place}: {error or type(error).__name__}") from error
        return folder
