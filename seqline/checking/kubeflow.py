"""Checks of `targets.kubeflow`: without the server before a run, and of the server for `seqline doctor`."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from seqline.checking.finding import Finding
from seqline.checking.stages import known_stages
from seqline.compiling.compiler import stages
from seqline.configuration import Loaded
from seqline.configuration.kubeflow import DEFAULT, KubeflowTarget
from seqline.documentation import page
from seqline.errors import UserError
from seqline.names import nearest
from seqline.problems import Problem
from seqline.targets.kubeflow.connection import Connection
from seqline.targets.kubeflow.login import require_safe
from seqline.targets.kubeflow.versions import missing, shown

FIELD = "targets.kubeflow"
SERVER = "kubeflow server"
KEEPING = ("train", "tune", "infer")
"""The stages that continue from `checkpoints`."""


def problems(loaded: Loaded) -> Iterator[Problem]:
    """Yields what is wrong with the settings of pods and of the login.

    Args:
        loaded: The configuration.
    """
    settings = loaded.configuration.targets.kubeflow
    if settings is None:
        return
    known = [DEFAULT, *known_stages(loaded.configuration)]
    for stage in settings.pods:
        if stage not in known:
            field = f"{FIELD}.pods.{stage}"
            yield Problem(f"there is no such stage; {nearest(stage, known)}", loaded.where(*field.split(".")), field)
    login = settings.login
    if login.token_file or login.cookie_file or login.dex or login.iap_client_id:
        try:
            require_safe(settings)
        except UserError as error:
            yield Problem(str(error), loaded.where("targets", "kubeflow", "host"))


def checkpoint_problems(loaded: Loaded, arguments: Mapping[str, Any], pipeline: str) -> Iterator[Problem]:
    """Yields a folder of checkpoints that ends with its pod, so that a retry would start anew.

    Args:
        loaded: The configuration.
        arguments: The run's parameters.
        pipeline: Its pipeline.
    """
    configuration = loaded.configuration
    settings = configuration.targets.kubeflow
    if settings is None:
        return
    folder = str(arguments.get("checkpoints") or "")
    for stage in [name for name in KEEPING if name in stages(pipeline)]:
        resources = configuration.resources.get(stage)
        if not folder and resources is not None and resources.retries:
            field = f"resources.{stage}.retries"
            message = (
                "a retry starts from the beginning, because the working state is deleted with the pod; set "
                f"checkpoints to an address in a bucket, or to a folder in a claim that {FIELD}.pods.{stage}.claims "
                "mounts"
            )
            yield Problem(message, loaded.where("resources", stage, "retries"), field, warning=True)
        if folder and "://" not in folder and not _mounted(settings, stage, folder):
            keys = loaded.source("checkpoints", "kubeflow")
            message = (
                f"{folder} is in {stage}'s pod and is deleted with it: set it to an address in a bucket, or a folder "
                f"in a claim that {FIELD}.pods.{stage}.claims mounts; see "
                f"{page('kubeflow.md', 'Resume training after a lost pod')}"
            )
            yield Problem(message, loaded.where(*keys), ".".join(keys))


def _mounted(settings: KubeflowTarget, stage: str, folder: str) -> bool:
    # Below /gcs a pod of KFP has an empty folder, no bucket (gcsScratchLocation in argocompiler/container.go).
    return any(PurePosixPath(folder).is_relative_to(claim) for claim in settings.pod(stage).claims)


def findings(connection: Connection, loaded: Loaded) -> Iterator[Finding]:
    """Yields what the server is and lacks.

    Args:
        connection: The server, which has answered.
        loaded: The configuration.
    """
    try:
        server, namespace = connection.server, connection.namespace
    except UserError as error:
        yield Finding(SERVER, "warning", str(error))
        return
    users = f"several users, namespace {namespace}" if server.multi_user else "one user"
    way = f"logged in by {connection.login.used}" if connection.login.used else "without a login"
    if server.version is None:
        said = f"does not report its version ({server.tag})" if server.tag else "does not report its version"
        advice = f"compare its version with the table in {page('kubeflow.md', 'Server requirements')}"
        yield Finding(SERVER, "warning", f"{said}; {users}; {way}", advice)
        return
    yield Finding(SERVER, "ok", f"KFP {server.tag}; {users}; {way}")
    for feature, used in missing(server, loaded.configuration):
        message = f"KFP {server.tag} does not support {feature.name}, introduced in {shown(feature.since)}"
        advice = f"upgrade the server to {shown(feature.since)} or later; this one {feature.without}" if used else ""
        yield Finding(SERVER, "error" if used else "warning", message, advice)
