"""A local endpoint and its folder's layout.

    <endpoint>/
      endpoint.json     {"schema_version", "name", "host", "port", "traffic": {"2": 100}}
      versions/2/       the exported model, as TensorFlow Serving lays out versions
      versions/2.json   {"version", "fingerprint", "created", "source", "figures"}; written last: without it, no version
      server.pid        the server's process
      server.log        what it printed

Standard library only. Files are replaced whole, and version folders appear by renaming, so that a reader never
sees a part.
"""

import datetime
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from components.errors import UserError
from components.whole import whole_folder, write_whole

SCHEMA_VERSION = 1
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Settings:
    """What endpoint.json says.

    Attributes:
        name: The model's name in addresses: the folder's name.
        host: Address that the server listens on.
        port: Port that it listens on.
        traffic: Share of the requests, in percent, by version.
    """

    name: str
    host: str
    port: int
    traffic: dict[str, int] = field(default_factory=dict)

    @property
    def live(self) -> int | None:
        """The version with the largest share; None before the first one."""
        return int(max(self.traffic, key=lambda version: self.traffic[version])) if self.traffic else None

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
        try:
            fields = json.loads((self.path / "endpoint.json").read_text(encoding="utf-8"))
            del fields["schema_version"]
            return Settings(**fields)
        except FileNotFoundError:
            return None
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise UserError(f"{self.path / 'endpoint.json'} cannot be read ({error}); mend or delete it") from None

    def write(self, settings: Settings) -> None:
        """Replaces endpoint.json; a running server follows it.

        Args:
            settings: What it is to say.
        """
        write_whole(
            self.path / "endpoint.json", json.dumps({"schema_version": SCHEMA_VERSION, **asdict(settings)}, indent=1)
        )

    def model(self, version: int) -> Path:
        """The folder of a version's model."""
        return self.path / "versions" / str(version)

    def versions(self) -> list[Version]:
        """The registered versions, oldest first."""
        records = sorted((self.path / "versions").glob("*.json"), key=lambda path: int(path.stem))
        return [Version(**json.loads(record.read_text(encoding="utf-8"))) for record in records]

    def find(self, fingerprint: str) -> Version | None:
        """Returns the version of a model, if it is registered.

        Args:
            fingerprint: The model's fingerprint.
        """
        return next((version for version in self.versions() if version.fingerprint == fingerprint), None)

    def live(self) -> Version | None:
        """Returns the live version, if there is one."""
        settings = self.read()
        return next((found for found in self.versions() if settings and found.version == settings.live), None)

    def register(self, model: Path, fingerprint: str, figures: dict[str, float]) -> Version:
        """Copies a model in as a new version; the same model again is the version that it was.

        Args:
            model: The exported model's folder.
            fingerprint: Its fingerprint.
            figures: What it was blessed with.
        """
        known = self.find(fingerprint)
        if known:
            return known
        numbers = [int(path.name) for path in (self.path / "versions").glob("*") if path.name.isdigit()]
        number = max([*numbers, *(version.version for version in self.versions())], default=0) + 1
        with whole_folder(self.model(number)) as folder:
            shutil.copytree(model, folder, dirs_exist_ok=True)
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        version = Version(number, fingerprint, now, str(model), figures)
        write_whole(self.path / "versions" / f"{number}.json", json.dumps(asdict(version), indent=1))
        return version

    def forget(self, version: int) -> None:
        """Removes a version: its record first, so that half of it is never a version."""
        (self.path / "versions" / f"{version}.json").unlink(missing_ok=True)
        shutil.rmtree(self.model(version), ignore_errors=True)

    def write_process(self, pid: int) -> None:
        """Notes the server's process.

        Args:
            pid: Its number.
        """
        write_whole(self.path / "server.pid", json.dumps({"pid": pid, "started": _started(pid)}))

    def process(self) -> int | None:
        """The running server's process number, or None; a recycled number does not count."""
        try:
            noted: dict[str, Any] = json.loads((self.path / "server.pid").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        started = _started(noted["pid"])
        return int(noted["pid"]) if started and started == noted["started"] else None

    def stop(self, seconds: float = 20.0) -> bool:
        """Stops the server; requests in flight are answered first.

        Args:
            seconds: How long it may take before it is killed.

        Returns:
            Whether one was running.
        """
        pid = self.process()
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self.process() and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.process():
            os.kill(pid, signal.SIGKILL)
        (self.path / "server.pid").unlink(missing_ok=True)
        return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second deployment to this endpoint waiting until the first is done."""
        import fcntl

        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def is_running(path: Path) -> bool:
    """Whether an endpoint's server runs.

    Args:
        path: The endpoint's folder.
    """
    return Endpoint(path).process() is not None


def _started(pid: int) -> str:
    """A process's start time in clock ticks, or nothing where it is gone (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]
