"""The version and the commit of this code, and of any checkout."""

import os
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VARIABLE = "SEQLINE_REVISION"
"""Environment variable with the commit that an image was built from: an image has no checkout."""


def revision(folder: Path) -> str:
    """Returns the commit of a checkout.

    Args:
        folder: Inside a checkout.

    Returns:
        Its hash, followed by `-dirty` if tracked files differ; `unknown` outside a checkout.
    """
    git = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


@cache
def made_by(package: Path = Path(__file__).parent) -> str:
    """Names this version of Seqline for the foot of a report, such as "Seqline 0.1.0, commit 8d294d7f5a3c".

    Args:
        package: The package's folder.
    """
    try:
        name = f"Seqline {version('seqline')}"
    except PackageNotFoundError:
        name = "Seqline"
    commit = os.environ.get(VARIABLE, "")
    # An installed package may lie inside a checkout of the user's own project, whose commit says nothing about it.
    if not commit and (package.parent / ".git").exists():
        commit = revision(package.parent)
    hash_, _, dirty = commit.partition("-")
    if hash_ in ("", "unknown"):
        return name
    return f"{name}, commit {hash_[:12]}{' with changes' if dirty else ''}"
