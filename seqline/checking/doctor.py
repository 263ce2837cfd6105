"""`seqline doctor`: checks this machine and the services, and advises on problems."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from seqline.checking import kubeflow
from seqline.checking.finding import Finding
from seqline.checking.installed import INSTALL, installed
from seqline.configuration import Loaded
from seqline.endpoints.local_endpoint import Endpoint, is_running
from seqline.errors import UserError
from seqline.paths import expanded
from seqline.plugins.registry import REGISTRIES
from seqline.targets import open_target
from seqline.targets.kubeflow import Kubeflow
from seqline.targets.laptop import Laptop

TESTED = (3, 11)
# A run on a million pairs stores less: a corpus, a checkpoint and two models.
FREE_BYTES = 5e9
MEMORY_BYTES = 4e9
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"


def examine(loaded: Loaded, online: bool = True, targets: Sequence[str] = ()) -> Iterator[Finding]:
    """Checks versions, disk, memory, ports, endpoints, credentials, services and roles.

    Args:
        loaded: The configuration.
        online: Whether to contact services.
        targets: Names of targets; by default all configured ones.

    Yields:
        A finding for each check.
    """
    yield from _versions()
    yield from _plugins()
    chosen = targets or loaded.configuration.targets.configured
    if "laptop" in chosen:
        laptop = Laptop(loaded.configuration)
        yield from _machine(laptop.home.path)
        yield from _endpoints(laptop)
    yield _engine()
    if "vertex" in chosen:
        yield _credentials()
    for name in chosen:
        opened = open_target(name, loaded.configuration)
        if not online and name != "laptop":
            continue
        problems = opened.check()
        for problem in problems:
            yield Finding(name, "warning" if problem.warning else "error", problem.field or name, problem.message)
        if not problems:
            yield Finding(name, "ok", "ready")
        if name == "vertex":
            yield from _roles(loaded)
        if isinstance(opened, Kubeflow) and not problems:
            yield from kubeflow.findings(opened.checked, loaded)


def _plugins() -> Iterator[Finding]:
    """Yields the plugins of installed packages, each imported and checked."""
    for registry in REGISTRIES:
        try:
            names = list(registry.sources())
        except UserError as error:
            yield Finding("plugins", "error", f"seqline.{registry.word}s", str(error))
            continue
        for name in names:
            try:
                registry.find(name)
                yield Finding("plugins", "ok", f"{registry.word} {name}, {registry.source(name).distribution}")
            except UserError as error:  # noqa: PERF203
                yield Finding("plugins", "error", f"{registry.word} {name}", str(error))


def _versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    tested = sys.version_info[:2] == TESTED
    advice = f"Seqline is tested on Python {'.'.join(map(str, TESTED))}"
    yield Finding("python", "ok" if tested else "warning", python, "" if tested else advice)
    found, missing = installed()
    yield Finding("seqline", "ok", f"{version('seqline')} with {', '.join(found)}")
    if missing:
        advice = f"{INSTALL} for runs on this machine; other targets do not need it"
        yield Finding("libraries", "warning", f"not installed: {', '.join(missing)}", advice)


def _machine(home: Path) -> Iterator[Finding]:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    short = free < FREE_BYTES
    advice = f"remove old runs from {home / 'runs'}, or set targets.laptop.home to another disk" if short else ""
    yield Finding("disk", "warning" if short else "ok", f"{free / 1e9:.1f} GB free at {existing}", advice)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    small = memory < MEMORY_BYTES
    advice = "training needs 4 GB; use the preset demo or tiny" if small else ""
    yield Finding("machine", "warning" if small else "ok", f"{cores} cores, {memory / 1e9:.1f} GB of memory", advice)


def _endpoints(laptop: Laptop) -> Iterator[Finding]:
    for file in sorted((laptop.home.path / "endpoints").glob("*/endpoint.json")):
        endpoint = Endpoint(file.parent.resolve())
        settings = endpoint.read()
        if is_running(endpoint.path):
            yield Finding(
                f"endpoint {file.parent.name}", "ok", f"running at {settings.predict_url if settings else '?'}"
            )
        else:
            advice = f"`seqline endpoint start {file.parent.name}` starts it; see {file.parent / 'server.log'}"
            yield Finding(f"endpoint {file.parent.name}", "warning", "not running", advice)


def _engine() -> Finding:
    found = [name for name in ("docker", "buildah") if shutil.which(name)]
    if found:
        return Finding("images", "ok", f"{found[0]} is installed")
    return Finding("images", "ok", "neither docker nor buildah is installed; only building images needs one")


def _roles(loaded: Loaded) -> Iterator[Finding]:
    """Yields the roles of the identities in a Google Cloud project, each that is missing by its name."""
    from seqline.targets.vertex.connection import Connection
    from seqline.targets.vertex.permissions import Permissions, setting_of

    vertex = loaded.configuration.targets.vertex
    if vertex is None:
        return
    states: dict[str, Literal["ok", "warning", "error"]] = {"ok": "ok", "missing": "error", "unknown": "warning"}
    connection = Connection(vertex)
    try:
        connection.credentials  # noqa: B018 (found when they are first used)
    except UserError as error:
        yield Finding("roles", "warning", f"cannot be checked: {error}")
        return
    for answer in Permissions(connection, setting_of(loaded.configuration)).answers():
        subject = f"roles of {answer.identity}"
        message = f"{answer.account}: {answer.message}" if answer.account else answer.message
        yield Finding(subject, states[answer.state], message, answer.advice)


def _credentials() -> Finding:
    named = os.environ.get(CREDENTIALS, "")
    usual = expanded(os.environ.get("CLOUDSDK_CONFIG") or "~/.config/gcloud")
    file = Path(named) if named else usual / "application_default_credentials.json"
    if file.is_file():
        return Finding("credentials", "ok", str(file))
    if named:
        return Finding("credentials", "error", f"{CREDENTIALS} is {named}, which does not exist", "correct or unset it")
    advice = "run `gcloud auth application-default login`; a Google Cloud machine uses its service account instead"
    return Finding("credentials", "warning", f"{file} does not exist", advice)
