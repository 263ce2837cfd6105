"""A local endpoint and its folder's layout.

    <endpoint>/
      endpoint.json     {"schema_version", "name", "host", "port", "grpc_port", "traffic": {"1": 0, "2": 100},
                        "aliases": {"champion": 2}, "rolled_back": {"<fingerprint>": "2026-01-31"},
                        "sampling": {...}}: what to serve; a version in traffic is deployed
      versions/2/       the exported model, in the layout of TensorFlow Serving
      versions/2.json   {"schema_version", "version", "fingerprint", "created", "source", "metrics"}; written after the
                        folder: a folder without it is not a version
      server.pid        the server's supervisor process
      server.log        the server's output
      samples/          sampled requests and feedback, if the server samples: `seqline.artifacts.request_log`

Files are replaced atomically and version folders appear by renaming, so readers never see a part.
"""

import datetime
import filecmp
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from seqline.artifacts.record import Record, Schema
from seqline.atomic import atomic_directory
from seqline.endpoints import process
from seqline.endpoints.back_end import State
from seqline.endpoints.ports import is_free
from seqline.endpoints.sampling import Sampling
from seqline.errors import UserError
from seqline.paths import expanded

log = logging.getLogger(__name__)

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Settings(Record):
    """The content of endpoint.json.

    Attributes:
        name: The model's name in addresses: the folder's name.
        host: Address that the server listens on.
        port: Port that it listens on.
        grpc_port: Port of the gRPC service; 0 for none.
        traffic: Share of the requests, in percent, by version; a version with 0 is loaded and answers by its number.
        aliases: Names of versions, such as champion; TensorFlow Serving calls them labels.
        rolled_back: Dates of rollbacks by the model's fingerprint; also of versions that are removed.
        sampling: What the server samples of its requests; by default nothing.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="correct or delete it")

    name: str
    host: str
    port: int
    grpc_port: int = 0
    traffic: dict[int, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    rolled_back: dict[str, str] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)

    @property
    def state(self) -> State:
        """What the endpoint serves."""
        return State(self.traffic, self.aliases, self.rolled_back)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://{self.host}:{self.port}"

    @property
    def predict_url(self) -> str:
        """The address of the predict method."""
        return f"{self.url}/v1/models/{self.name}:predict"


@dataclass(frozen=True)
class Version(Record):
    """The content of versions/N.json.

    Attributes:
        version: Its number.
        fingerprint: The model's fingerprint.
        created: Time of registration, ISO 8601.
        source: The artifact that it was copied from.
        metrics: The challenger's metrics in the decision that blessed it. Records of version 1 call them `figures`.
    """

    SCHEMA: ClassVar[Schema] = Schema(
        version=2, remedy="delete it to remove the version", renamed={"figures": "metrics"}
    )

    version: int
    fingerprint: str
    created: str
    source: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Endpoint:
    """A local endpoint's folder.

    Attributes:
        path: The folder; its name is the endpoint's name.
    """

    path: Path

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.path.name):
            raise UserError(
                f"an endpoint's name is lower-case letters, digits and hyphens, at most 63, "
                f"and starts with a letter; {self.path.name!r} is not"
            )

    @property
    def log(self) -> Path:
        """The server's output."""
        return self.path / "server.log"

    def read(self) -> Settings | None:
        """Returns the content of endpoint.json, or None if there is no endpoint yet.

        Raises:
            UserError: If the file cannot be read.
        """
        file = self.path / "endpoint.json"
        # The folder may have been renamed.
        return replace(Settings.read(file), name=self.path.name) if file.is_file() else None

    def write(self, settings: Settings) -> None:
        """Replaces endpoint.json; a running server follows its traffic.

        Args:
            settings: The new content.
        """
        settings.write(self.path / "endpoint.json")

    def model(self, version: int) -> Path:
        """The folder of a version's model."""
        return self.path / "versions" / str(version)

    def versions(self) -> list[Version]:
        """The registered versions, oldest first.

        Raises:
            UserError: If a record cannot be read.
        """
        return [_read_version(record) for record in sorted(self._records(), key=lambda path: int(path.stem))]

    def version(self, number: int) -> Version | None:
        """Returns a registered version.

        Args:
            number: Its number.
        """
        record = self._record(number)
        return _read_version(record) if record.is_file() else None

    def find(self, fingerprint: str) -> Version | None:
        """Returns the version of a model, if it is registered.

        Args:
            fingerprint: The model's fingerprint.
        """
        return next((version for version in self.versions() if version.fingerprint == fingerprint), None)

    def live(self) -> Version | None:
        """Returns the live version, if there is one."""
        settings = self.read()
        champion = settings.state.champion if settings else None
        return None if champion is None else self.version(champion)

    def register(self, model: Path, fingerprint: str, metrics: dict[str, float]) -> Version:
        """Copies a model in as a new version; a registered model keeps its version, and gets its files back.

        Args:
            model: The exported model's folder.
            fingerprint: Its fingerprint.
            metrics: The challenger's metrics in the decision that blessed it.

        Raises:
            UserError: If the model's files change meanwhile.
        """
        known = self.find(fingerprint)
        if known and not difference(model, self.model(known.version)):
            return known
        taken = [int(path.stem) for path in (*self._folders(), *self._records())]
        version = known or Version(max(taken, default=0) + 1, fingerprint, now(), str(model), metrics)
        with atomic_directory(self.model(version.version), "saved_model.pb") as folder:
            shutil.copytree(model, folder, dirs_exist_ok=True)
            if changed := difference(model, folder):
                raise UserError(
                    f"{model / changed} changed while it was copied; deploy again when no program writes to it"
                )
        version.write(self._record(version.version))
        return version

    def forget(self, version: int) -> None:
        """Removes a version: its record first, so that a partly removed folder is not a version."""
        self._record(version).unlink(missing_ok=True)
        shutil.rmtree(self.model(version), ignore_errors=True)

    def sweep(self) -> None:
        """Removes the leftovers of a killed deployment: folders without a record. Only for the lock's holder."""
        left = [path for path in self._folders() if not self._record(int(path.name)).is_file()]
        for path in (*left, *(self.path / "versions").glob(".*")):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def write_process(self, pid: int) -> None:
        """Records the server's process.

        Args:
            pid: Its number.
        """
        process.record(self.path / "server.pid", pid)

    def process(self) -> int | None:
        """The running server's process number, or None; a recycled number does not count."""
        return process.recorded(self.path / "server.pid")

    def was_started(self) -> bool:
        """Whether a server was started and not stopped since; it may have been killed."""
        return (self.path / "server.pid").is_file()

    def stop(self, seconds: float = 30.0) -> bool:
        """Stops the server; requests in flight are answered first.

        Args:
            seconds: Time to end before it is killed.

        Returns:
            Whether one was running.
        """
        return process.stop(self.path / "server.pid", seconds)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes a second deployment to this endpoint wait until the first has ended."""
        import fcntl

        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("another deployment to %s is running; waiting for it", self.path.name)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _record(self, version: int) -> Path:
        return self.path / "versions" / f"{version}.json"

    def _records(self) -> list[Path]:
        return [path for path in (self.path / "versions").glob("*.json") if path.stem.isdecimal()]

    def _folders(self) -> list[Path]:
        return [path for path in (self.path / "versions").glob("*") if path.name.isdecimal()]


def local_endpoint(folder: str) -> Endpoint:
    """Opens the endpoint that the pipelines' parameter `endpoint` names.

    Args:
        folder: The folder of a local endpoint.

    Raises:
        UserError: If it is not a local folder, or its name is not valid for an endpoint.
    """
    if "://" in folder:
        raise UserError(
            f"endpoint: {folder} is not a local folder, projects/P/locations/L/endpoints/NAME or kserve://NAMESPACE/NAME"
        )
    return Endpoint(expanded(folder).resolve())


def is_running(path: Path) -> bool:
    """Whether an endpoint's server runs.

    Args:
        path: The endpoint's folder.
    """
    return Endpoint(path).process() is not None


def can_listen(path: Path, port: int) -> bool:
    """Whether an endpoint's server runs already, or could start on a port.

    Args:
        path: The endpoint's folder.
        port: The port to listen on.
    """
    return (path.exists() and is_running(path)) or is_free(port)


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def difference(model: Path, copy: Path) -> str:
    """Compares two folders by the names and the content of their files.

    Args:
        model: A model's folder.
        copy: Its copy; may be missing.

    Returns:
        The relative path of the first file that differs; empty if none does.
    """
    ours, theirs = ({path.relative_to(one) for path in one.rglob("*") if path.is_file()} for one in (model, copy))
    for name in sorted(ours | theirs):
        if name not in ours & theirs or not filecmp.cmp(model / name, copy / name, shallow=False):
            return str(name)
    return ""


def _read_version(record: Path) -> Version:
    return replace(Version.read(record), version=int(record.stem))
