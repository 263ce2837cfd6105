"""What one run of monitoring leaves to the next: a folder beside the logs of the requests.

monitoring/
  windows/20261130T060000Z.json       the state after the window that ended then
  retrainings/0003.json               the third retraining that monitoring started (components/retrain)

A window's file is written once. A rerun of the same window begins with the state before it and finds its file there, so
nothing changes. Of several runs of one window at a time, the first writes it.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar

from seqline.artifacts.record import Record, Schema
from seqline.atomic import atomic_create, atomic_write
from seqline.buckets import in_bucket, on_network
from seqline.errors import UserError
from seqline.inputs.storage import list_files, open_folder
from seqline.paths import expanded

STAMP = "%Y%m%dT%H%M%SZ"
SETTLE = 5.0
"""Seconds after which a claim in a bucket is read back. Cloud Storage, S3 and MinIO create an object once; some servers
accept a second one that is sent at the same time, of which the later remains
(https://github.com/seaweedfs/seaweedfs/issues/8800)."""


@dataclass(frozen=True)
class State(Record):
    """The state after a window.

    Attributes:
        start: Start of the window.
        end: Its end.
        fingerprint: Of the live version: another one begins anew.
        requests: Requests that were compared.
        wealth: Of each rule and slice, `Detector.wealth`.
        learned: Of each distance and slice, the weights of earlier requests.
        alarms: Of each rule and slice in alarm, the end of the window that proved it.
        calm: Of each rule and slice in alarm, the last windows in a row whose figure was within the limit.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="delete the folder to start over")

    start: str
    end: str
    fingerprint: str
    requests: int = 0
    wealth: dict[str, list[float]] = field(default_factory=dict)
    learned: dict[str, list[float]] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)
    calm: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, values in self.wealth.items():
            if not all(map(math.isfinite, values)):
                raise UserError(f"the state has no finite evidence for {key}; {self.SCHEMA.remedy}")


@dataclass(frozen=True)
class Folder:
    """Small files in a folder of this machine or in a bucket, each of which appears whole.

    Attributes:
        address: The folder's path or address.
    """

    address: str

    def names(self) -> list[str]:
        """Returns the names of its files, sorted; none where there is no folder."""
        if "://" not in self.address:
            folder = expanded(self.address)
            return sorted(path.name for path in folder.glob("[!.]*") if path.is_file())
        try:
            files, root = open_folder(self.address)
            return sorted(path.removeprefix(f"{root}/") for path in list_files(files, root))
        except FileNotFoundError:
            return []
        except Exception as error:  # every file system has its own errors
            raise UserError(f"{self.address} cannot be listed: {error or type(error).__name__}") from error

    def read(self, name: str) -> str:
        """Returns a file's text.

        Args:
            name: From `names`.
        """
        try:
            if "://" not in self.address:
                return (expanded(self.address) / name).read_text(encoding="utf-8")
            files, root = open_folder(self.address)
            return bytes(files.cat_file(f"{root}/{name}")).decode("utf-8")
        except Exception as error:
            raise UserError(f"{self.address}/{name} cannot be read: {error or type(error).__name__}") from error

    def write(self, name: str, text: str) -> None:
        """Writes a file.

        Args:
            name: Its name.
            text: Its text.
        """
        try:
            if "://" not in self.address:
                path = expanded(self.address) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(path, text)
                return
            files, root = open_folder(self.address)
            files.pipe_file(f"{root}/{name}", text.encode())  # a bucket shows an object once it is whole
        except Exception as error:
            raise UserError(f"{self.address}/{name} cannot be written: {error or type(error).__name__}") from error

    def create(self, name: str, text: str) -> bool:
        """Writes a file, unless it exists.

        Args:
            name: Its name.
            text: Its text.

        Returns:
            Whether it was written.
        """
        try:
            if "://" not in self.address:
                return atomic_create(expanded(self.address) / name, text)
            files, root = open_folder(self.address)
            if name in self.names():
                return False
            files.pipe_file(f"{root}/{name}", text.encode(), mode="create")
        except Exception as error:  # every file system has its own errors, also for a file that exists
            if name in self.names():
                return False
            raise UserError(f"{self.address}/{name} cannot be written: {error or type(error).__name__}") from error
        return True

    def claim(self, name: str, text: str, sleep: Callable[[float], Any] = time.sleep) -> bool:
        """Writes a file, unless it exists: of several processes that claim it at once, one succeeds.

        Args:
            name: Its name.
            text: Its text, of which each process has its own.
            sleep: Waits some seconds.

        Returns:
            Whether the file is this process's.
        """
        written = self.create(name, text)
        remote = "://" in self.address or in_bucket(expanded(self.address)) or on_network(expanded(self.address))
        if written and remote:
            sleep(SETTLE)
        # Also a file that exists may be this process's: the answer to the first request was lost.
        return self.read(name) == text


@dataclass(frozen=True)
class Windows:
    """The states of all windows.

    Attributes:
        address: The folder of the state of monitoring.
    """

    address: str

    @property
    def folder(self) -> Folder:
        """The folder of the states."""
        return Folder(f"{self.address.rstrip('/')}/windows")

    def before(self, end: datetime) -> State | None:
        """Returns the state after the last window that ended before a time; None if there is none.

        Args:
            end: The end of the window that is being compared.
        """
        name = max((name for name in self._names() if name < _name(end)), default="")
        return self._read(name) if name else None

    def write(self, state: State) -> bool:
        """Writes a state, unless the window has one.

        Args:
            state: The state.

        Returns:
            Whether it was written.
        """
        return self.folder.create(_name(datetime.fromisoformat(state.end)), state.to_json())

    def _names(self) -> Iterator[str]:
        return (name for name in self.folder.names() if name.endswith(".json"))

    def _read(self, name: str) -> State:
        return State.from_json(self.folder.read(name), f"{self.folder.address}/{name}")


def _name(end: datetime) -> str:
    return f"{end.astimezone(timezone.utc):{STAMP}}.json"
