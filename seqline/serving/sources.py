"""Sources of a server's versions: a local endpoint's folder, or the single model of a serving container."""

import logging
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from seqline.endpoints.local_endpoint import Endpoint
from seqline.endpoints.sampling import FOLDER, Sampling
from seqline.errors import UserError
from seqline.inputs.downloads import download_model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Desired:
    """The desired state of a server.

    Attributes:
        traffic: Traffic share in percent, by version; a version with 0 answers only by its number.
        aliases: Version numbers by alias.
        sampling: What is sampled of the requests.
    """

    traffic: dict[int, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)


class Source(Protocol):
    """Provides the desired versions and their models."""

    def desired(self) -> Desired:
        """The versions to serve and their traffic."""

    def model(self, version: int) -> Path | None:
        """A version's model folder, downloaded first if necessary; None if there is no such version."""


class EndpointSource:
    """The registered versions of a local endpoint; endpoint.json has the deployed ones.

    Args:
        endpoint: The endpoint.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def desired(self) -> Desired:
        """The deployed versions of endpoint.json."""
        settings = self.endpoint.read()
        if settings is None:
            return Desired()
        sampling = settings.sampling
        if not sampling.folder:
            sampling = replace(sampling, folder=str(self.endpoint.path / FOLDER))
        return Desired(settings.traffic, settings.aliases, sampling)

    def model(self, version: int) -> Path | None:
        """A registered version's folder."""
        return self.endpoint.model(version) if self.endpoint.version(version) else None


class StorageSource:
    """The single model of a serving container; a bucket's model is downloaded on first use.

    Args:
        location: The exported model: a folder, or a URL such as gs://bucket/model.
        version: The number of its version.
        sampling: What is sampled of the requests.

    Raises:
        UserError: If it is a local folder without a SavedModel.
    """

    def __init__(self, location: str, version: int = 1, sampling: Sampling = Sampling()) -> None:  # noqa: B008 (frozen)
        self.location, self.version, self.sampling = location, version, sampling
        self._downloaded: tempfile.TemporaryDirectory[str] | None = None
        if "://" not in location and not (Path(location) / "saved_model.pb").is_file():
            raise UserError(f"{location} contains no SavedModel: saved_model.pb is missing")

    def desired(self) -> Desired:
        """All traffic to the version."""
        return Desired({self.version: 100}, sampling=self.sampling)

    def model(self, version: int) -> Path | None:
        """The version's folder."""
        if version != self.version:
            return None
        if "://" not in self.location:
            return Path(self.location)
        if self._downloaded is None:
            self._downloaded = self._download()
        return Path(self._downloaded.name)

    def _download(self) -> "tempfile.TemporaryDirectory[str]":
        log.info("downloading the model from %s", self.location)
        folder = tempfile.TemporaryDirectory(prefix="model.")
        download_model(self.location, Path(folder.name))
        return folder
