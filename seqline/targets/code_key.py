"""Identifies the code that stages run on this machine: Seqline's own, and the versions of the libraries."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import seqline
from seqline.atomic import atomic_write

# With cpu, tensorflow-cpu takes the place of tensorflow.
EXTRAS = ("laptop", "cpu")
# What images are built of is not the code of a stage.
OTHERS = {"__pycache__", "context"}


def code_key(known: Path | None = None) -> str:
    """Returns 16 hexadecimal digits that change with the code and with the libraries' versions.

    Args:
        known: A file with the libraries that were found before, among the same installed packages; None for none.
    """
    found = libraries() if known is None else _remembered(known)
    content = code_digest(Path(seqline.__file__).parent) + "".join(sorted(found))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def code_digest(root: Path) -> str:
    """The SHA-256 of all files of a package, through links to folders too.

    Args:
        root: The package's folder.
    """
    code = hashlib.sha256()
    # Path.rglob follows links on some versions of Python only.
    folders = [Path(folder) for folder, _, _ in os.walk(root, followlinks=True)]
    folders = [folder for folder in folders if not OTHERS & set(folder.relative_to(root).parts)]
    for path in sorted(file for folder in folders for file in folder.iterdir() if file.is_file()):
        code.update(path.relative_to(root).as_posix().encode())
        code.update(path.read_bytes())
    return code.hexdigest()


def _remembered(file: Path) -> frozenset[str]:
    """The libraries, from the file if the same packages are installed: reading all requirements takes long."""
    installed = _installed()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["installed"] == installed:
            return frozenset(map(str, content["libraries"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = libraries()
    atomic_write(file, json.dumps({"installed": installed, "libraries": sorted(found)}, indent=1) + "\n")
    return found


def _installed() -> str:
    """A digest of the installed packages' metadata: their names, which have the versions, and times."""
    found = []
    for folder in filter(os.path.isdir, sys.path):
        with os.scandir(folder) as entries:
            found += [
                (entry.path, entry.stat().st_mtime_ns)
                for entry in entries
                if entry.name.endswith((".dist-info", ".egg-info"))
            ]
    return hashlib.sha256(repr((sys.version, sorted(found))).encode()).hexdigest()


@cache
def libraries(name: str = "seqline", extras: tuple[str, ...] = EXTRAS) -> frozenset[str]:
    """Returns the installed libraries that a distribution needs, directly or not, as "name==version".

    Args:
        name: The distribution.
        extras: Its extras.
    """
    from packaging.utils import canonicalize_name

    found: dict[tuple[str, tuple[str, ...]], str] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [(canonicalize_name(name), extras)]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        try:
            installed = distribution(current[0])
        except PackageNotFoundError:
            continue
        found[current] = f"{current[0]}=={installed.version}"
        waiting += _needed(installed.requires or [], current[1])
    return frozenset(found.values())


def _needed(requirements: list[str], extras: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for text in requirements:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name), tuple(sorted(requirement.extras))
