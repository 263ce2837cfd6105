"""What one run of monitoring leaves to the next: a folder beside the logs of the requests.

monitoring/
  windows/20261130T060000Z.json       the state after the window that ended then
  retrainings/0003.json               the third retraining that monitoring started (components/retrain)

A window's file is written once. A rerun of the same window begins with the state before it and finds its file there, so
nothing changes. Several runs of one window write the same bytes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import ClassVar

from seqline.artifacts.record import Record, Schema
from seqline.atomic import atomic_write
from seqline.errors import UserError
from seqline.inputs.storage import list_files, open_folder
from seqline.paths import expanded

STAMP = "%Y%m%dT%H%M%SZ"


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
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="delete the folder to begin anew")

    start: str
    end: str
    fingerprint: str
    requests: int = 0
    wealth: dict[str, list[float]] = field(default_factory=dict)
    learned: dict[str, list[float]] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)

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
        name = _name(datetime.fromisoformat(state.end))
        if name in self._names():
            return False
        self.folder.write(name, state.to_json())
        return True

    def _names(self) -> Iterator[str]:
        return (name for name in self.folder.names() if name.endswith(".json"))

    def _read(self, name: str) -> State:
        return State.from_json(self.folder.read(name), f"{self.folder.address}/{name}")


def _name(end: datetime) -> str:
    return f"{end.astimezone(timezone.utc):{STAMP}}.json"
