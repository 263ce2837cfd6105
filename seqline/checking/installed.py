"""The libraries that runs on this machine need, one of each extra of pyproject.toml or more."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from seqline.errors import UserError

# The first of each that is installed counts: tensorflow-cpu has the same modules.
LIBRARIES = (
    ("kfp",),
    ("apache-beam",),
    ("tensorflow", "tensorflow-cpu"),
    ("tensorflow-text",),
    ("keras",),
    ("sentencepiece",),
    ("sacrebleu",),
    ("fastapi",),
)
INSTALL = 'pip install "seqline[laptop]"'


def installed() -> tuple[list[str], list[str]]:
    """Returns the libraries that are installed, with their versions, and the names of those that are missing."""
    found, missing = [], []
    for names in LIBRARIES:
        versions = [f"{name} {one}" for name in names if (one := _version(name))]
        if versions:
            found.append(versions[0])
        else:
            missing.append(names[0])
    return found, missing


def require_installed() -> None:
    """Checks, before anything starts, that runs on this machine have their libraries.

    Raises:
        UserError: If one is missing.
    """
    _, missing = installed()
    if missing:
        raise UserError(f"a run on this machine needs {', '.join(missing)}; {INSTALL} installs them{_where()}")


def _where() -> str:
    """Says if there are no wheels of TensorFlow Text for this machine."""
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return ""
    return f"; that works on Linux x86-64, and this is {platform.system()} {platform.machine()}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
