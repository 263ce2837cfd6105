"""A local endpoint and its folder's layout.

    <endpoint>/
      endpoint.json     {"schema_version", "name", "host", "port", "grpc_port", "traffic": {"1": 0, "2": 100},
                        "aliases": {"champion": 2}}: what is to be served; a version in traffic is deployed
      versions/2/       the exported model, as TensorFlow Serving lays out versions
      versions/2.json   {"version", "fingerprint", "created", "source", "figures"}; written after the folder: without
                        it, no version
      server.pid        the process that keeps the server running
      server.log        what it printed

Standard library only. Files are replaced whole, and version folders appear by renaming, so that a reader never
sees a part.
"""

import datetime
import json
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from seqline.atomic import atomic_directory, atomic_write
from seqline.endpoints import process
from seqline.errors import UserError

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
# The alias of the version that a challenger must beat.
CHAMPION = "champion"


@dataclass(frozen=True)
class Settings:
    """What endpoint.json says.

    Attributes:
        name: The model's name in addresses: the folder's name.
        host: Address that the server listens on.
        port: Port that it listens on.
        grpc_port: Port of the gRPC service; 0 for none.
        traffic: Share of the requests, in percent, by version; a version with 0 is loaded and answers by its number.
        aliases: Names of versions, such as champion; they are TensorFlow Serving's labels.
    """

    name: str
    host: str
    port: int
    grpc_port: int = 0
    traffic: dict[int, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)

    @property
    def live(self) -> int | None:
        """The champion; before one is named, the version with the largest share; None before the first one."""
        largest = max(self.traffic, key=lambda version: self.traffic[version], default=None)
        return self.aliases.get(CHAMPION, largest)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://{self.host}:{self.port}"

    @property
    def predict_url(self) -> str:
        """Where texts are sent."""
        return f"{self.url}/v1/models/{self.name}:predict"


@dataclass(frozen=True)
class Version:
    """What versions/N.json says.

    Attributes:
        version: Its number.
        fingerprint: The model's fingerprint.
        created: When it was registered, ISO 8601.
        source: The artifact that it is a copy of.
        figures: The figures that it was blessed with, by metric.
    """

    version: int
    fingerprint: str
    created: str
    source: str
    figures: dict[str, float]


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
        """What the server printed."""
        return self.path / "server.log"

    def read(self) -> Settings | None:
        """Returns what endpoint.json says, or None where there is no endpoint yet.

        Raises:
            UserError: If the file cannot be read.
        """
        file = self.path / "endpoint.json"
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            traffic = {int(version): int(share) for version, share in fields["traffic"].items()}
            aliases = {str(alias): int(version) for alias, version in fields.get("aliases", {}).items()}
            grpc_port = int(fields.get("grpc_port", 0))
            # By the folder, which may have been renamed.
            return Settings(self.path.name, str(fields["host"]), int(fields["port"]), grpc_port, traffic, aliases)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{file} cannot be read ({error!r}); mend or delete it") from None

    def write(self, settings: Settings) -> None:
        """Replaces endpoint.json; a running server follows its traffic.

        Args:
            settings: What it is to say.
        """
        content = {"schema_version": SCHEMA_VERSION, **asdict(settings)}
        atomic_write(self.path / "endpoint.json", json.dumps(content, indent=1))

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
        return self.version(settings.live) if settings and settings.live is not None else None

    def register(self, model: Path, fingerprint: str, figures: dict[str, float]) -> Version:
        """Copies a model in as a new version; the same model again is the version that it was.

        Args:
            model: The exported model's folder.
            fingerprint: Its fingerprint.
            figures: What it was blessed with.
        """
        known = self.find(fingerprint)
        if known and self.model(known.version).is_dir():
            return known
        taken = [int(path.stem) for path in (*self._folders(), *self._records())]
        version = known or Version(max(taken, default=0) + 1, fingerprint, now(), str(model), figures)
        with atomic_directory(self.model(version.version)) as folder:
            shutil.copytree(model, folder, dirs_exist_ok=True)
        content = json.dumps(asdict(version), indent=1, ensure_ascii=False)
        atomic_write(self._record(version.version), content)
        return version

    def forget(self, version: int) -> None:
        """Removes a version: its record first, so that half of it is never a version."""
        self._record(version).unlink(missing_ok=True)
        shutil.rmtree(self.model(version), ignore_errors=True)

    def sweep(self) -> None:
        """Removes what a killed deployment left behind: folders without a record. Only for the lock's holder."""
        left = [path for path in self._folders() if not self._record(int(path.name)).is_file()]
        for path in (*left, *(self.path / "versions").glob(".*")):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def write_process(self, pid: int) -> None:
        """Notes the server's process.

        Args:
            pid: Its number.
        """
        process.note(self.path / "server.pid", pid)

    def process(self) -> int | None:
        """The running server's process number, or None; a recycled number does not count."""
        return process.noted(self.path / "server.pid")

    def was_started(self) -> bool:
        """Whether a server was started and not stopped since; it may have been killed."""
        return (self.path / "server.pid").is_file()

    def stop(self, seconds: float = 30.0) -> bool:
        """Stops the server; requests in flight are answered first.

        Args:
            seconds: How long it may take before it is killed.

        Returns:
            Whether one was running.
        """
        return process.stop(self.path / "server.pid", seconds)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second deployment to this endpoint waiting until the first is done, or has been killed."""
        import fcntl

        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("another deployment to %s is under way; waiting for it", self.path.name)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _record(self, version: int) -> Path:
        return self.path / "versions" / f"{version}.json"

    def _records(self) -> list[Path]:
        return [path for path in (self.path / "versions").glob("*.json") if path.stem.isdecimal()]

    def _folders(self) -> list[Path]:
        return [path for path in (self.path / "versions").glob("*") if path.name.isdecimal()]


def local_endpoint(place: str) -> Endpoint:
    """Reads the pipelines' parameter `endpoint` where it is a folder.

    Args:
        place: The folder of a local endpoint.

    Raises:
        UserError: If it is no local folder, or no name for an endpoint.
    """
    if "://" in place:
        raise UserError(f"endpoint: {place} is neither a local folder nor projects/P/locations/L/endpoints/NAME")
    return Endpoint(Path(place).resolve())


def is_running(path: Path) -> bool:
    """Whether an endpoint's server runs.

    Args:
        path: The endpoint's folder.
    """
    return Endpoint(path).process() is not None


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def _read_version(record: Path) -> Version:
    try:
        return replace(Version(**json.loads(record.read_text(encoding="utf-8"))), version=int(record.stem))
    except (ValueError, TypeError) as error:
        raise UserError(f"{record} cannot be read ({error!r}); delete it, and the version is gone") from None
