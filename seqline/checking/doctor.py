"""`seqline doctor`: whether this machine and the services are fit to work with, and what to do where they are not."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from seqline.configuration import Loaded
from seqline.endpoints.local_endpoint import Endpoint, is_running
from seqline.targets import TARGETS, open_target
from seqline.targets.laptop import Laptop

# What a run keeps for a corpus of a million pairs, a checkpoint and two models, with room to spare.
FREE_BYTES = 5e9
MEMORY_BYTES = 4e9
# What the laptop needs of each extra of pyproject.toml.
LIBRARIES = ("kfp", "apache-beam", "tensorflow", "tensorflow-text", "keras", "sentencepiece", "sacrebleu", "fastapi")
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"


@dataclass(frozen=True)
class Finding:
    """What one look came to.

    Attributes:
        subject: What was looked at.
        state: `ok`; `warning` where something will not work; `error` where nothing of it will.
        said: What was found.
        advice: What to do; empty where nothing is to be done.
    """

    subject: str
    state: Literal["ok", "warning", "error"]
    said: str
    advice: str = ""


def examine(loaded: Loaded, ask: bool = True) -> Iterator[Finding]:
    """Looks at versions, disk, memory, ports, endpoints, credentials and services.

    Args:
        loaded: The configuration.
        ask: Whether services are asked.

    Yields:
        What was found, one thing at a time.
    """
    yield from _versions()
    laptop = Laptop(loaded.configuration)
    yield from _machine(laptop.home.path)
    yield from _endpoints(laptop)
    yield _engine()
    if loaded.configuration.targets.vertex is not None:
        yield _credentials()
    for name in TARGETS:
        if getattr(loaded.configuration.targets, name) is not None and (ask or name == "laptop"):
            problems = open_target(name, loaded.configuration).check()
            for problem in problems:
                yield Finding(name, "warning" if problem.warning else "error", problem.field or name, problem.message)
            if not problems:
                yield Finding(name, "ok", "can be used as it is configured")


def _versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    fit = sys.version_info >= (3, 10)
    yield Finding("python", "ok" if fit else "error", python, "" if fit else "install Python 3.10 or later")
    found, missing = [], []
    for library in LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:  # noqa: PERF203
            missing.append(library)
    yield Finding("seqline", "ok", f"{version('seqline')} with {', '.join(found)}")
    if missing:
        advice = 'pip install "seqline[laptop]" for runs on this machine; other targets do not need it'
        yield Finding("libraries", "warning", f"not installed: {', '.join(missing)}", advice)


def _machine(home: Path) -> Iterator[Finding]:
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    short = free < FREE_BYTES
    advice = f"remove old runs from {home / 'runs'}, or set targets.laptop.home to another disk" if short else ""
    yield Finding("disk", "warning" if short else "ok", f"{free / 1e9:.1f} GB free at {place}", advice)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    small = memory < MEMORY_BYTES
    advice = "training wants 4 GB; use the preset demo or tiny" if small else ""
    yield Finding("machine", "warning" if small else "ok", f"{cores} cores, {memory / 1e9:.1f} GB of memory", advice)


def _endpoints(laptop: Laptop) -> Iterator[Finding]:
    for file in sorted((laptop.home.path / "endpoints").glob("*/endpoint.json")):
        endpoint = Endpoint(file.parent.resolve())
        settings = endpoint.read()
        if is_running(endpoint.path):
            yield Finding(f"endpoint {file.parent.name}", "ok", f"runs at {settings.predict_url if settings else '?'}")
        else:
            advice = "the next run starts it; its log is server.log beside it"
            yield Finding(f"endpoint {file.parent.name}", "warning", "does not run", advice)


def _engine() -> Finding:
    found = [name for name in ("docker", "buildah") if shutil.which(name)]
    if found:
        return Finding("images", "ok", f"{found[0]} is installed")
    return Finding("images", "ok", "neither docker nor buildah is installed; only building images needs one")


def _credentials() -> Finding:
    named = os.environ.get(CREDENTIALS, "")
    usual = Path(os.environ.get("CLOUDSDK_CONFIG") or "~/.config/gcloud").expanduser()
    file = Path(named) if named else usual / "application_default_credentials.json"
    if file.is_file():
        return Finding("credentials", "ok", str(file))
    if named:
        return Finding(
            "credentials", "error", f"{CREDENTIALS} names {named}, which is not there", "correct or unset it"
        )
    advice = "`gcloud auth application-default login`; on a machine of Google Cloud its service account is used"
    return Finding("credentials", "warning", f"{file} is not there", advice)
