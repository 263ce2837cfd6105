"""Identifies the code that stages run on this machine: Seqline's own, and the versions of the libraries."""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import seqline

# With cpu, tensorflow-cpu takes the place of tensorflow.
EXTRAS = ("laptop", "cpu")
# What images are built of is not the code of a stage.
OTHERS = {"__pycache__", "context"}


def code_key() -> str:
    """Returns 16 hexadecimal digits that change with the code and with the libraries' versions."""
    content = code_digest(Path(seqline.__file__).parent) + "".join(sorted(libraries()))
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
