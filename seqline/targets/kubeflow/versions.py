"""What differs between versions of KFP: of its packages here, and of the server there.

KFP 3 moves kfp-server-api to `kfp.server_api` and kfp-kubernetes to the extra `kfp[kubernetes]`
(proposals/sdk-packaging-consolidation/README.md of kubeflow/pipelines, KEP-12548). No other module imports them.
"""

import importlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqline.configuration.kubernetes import PodSettings
from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.configuration import Configuration

Version = tuple[int, int, int]

TAGS: Version = (2, 17, 0)
"""Since when pipelines and their versions have tags, which can be changed (UpdatePipelineVersion in
backend/api/v2beta1/pipeline.proto, tag 2.17.0 of kubeflow/pipelines)."""


def server_api() -> Any:
    """The package of kfp's generated client: `kfp.server_api` since KFP 3, before that `kfp_server_api`."""
    return _first("kfp.server_api", "kfp_server_api")


def kubernetes() -> Any:
    """The package of settings for Kubernetes, `kfp.kubernetes`.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module("kfp.kubernetes")
    except ImportError as error:
        raise UserError(f"settings of pods need kfp-kubernetes ({error}): pip install 'seqline[kubeflow]'") from None


def _first(*names: str) -> Any:
    for name in names[:-1]:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:  # noqa: PERF203
            continue
    return importlib.import_module(names[-1])


@dataclass(frozen=True)
class Server:
    """What a server says about itself.

    Attributes:
        tag: Its version, such as 2.17.0; empty where it does not say.
        multi_user: Whether every user has namespaces of their own.
    """

    tag: str = ""
    multi_user: bool = False

    @classmethod
    def read(cls, text: str) -> "Server":
        """Reads the answer of /apis/v2beta1/healthz.

        Args:
            text: The JSON. `tag_name` is not in the API's description and thus not in kfp's client, but every server
                since 2.0.0 has it (newHealthzResponse in backend/src/apiserver/main.go).

        Raises:
            ValueError: If it is not such an answer.
        """
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError(f"{text[:80]!r} is not an object")
        tag = str(content.get("tag_name") or "")
        return cls("" if tag == "unknown" else tag, bool(content.get("multi_user")))

    @property
    def version(self) -> Version | None:
        """The version as numbers; None where the tag is not one."""
        found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", self.tag)
        return (int(found[1]), int(found[2]), int(found[3])) if found else None

    def has(self, since: Version) -> bool:
        """Whether the server has a feature; a server that does not report its version is expected to.

        Args:
            since: The first version with it.
        """
        return self.version is None or self.version >= since


@dataclass(frozen=True)
class Feature:
    """A feature of the server that Seqline uses.

    Attributes:
        since: The first version with it: of the git tags of kubeflow/pipelines, the first whose driver or compiler
            reads the field.
        name: What it is, for messages.
        without: What an older server does.
        used: Whether a configuration uses it.
    """

    since: Version
    name: str
    without: str
    used: Callable[["Configuration"], bool]


def missing(server: Server, configuration: "Configuration") -> list[tuple[Feature, bool]]:
    """Returns the features that a server lacks, each with whether the configuration uses it.

    Args:
        server: The server.
        configuration: The configuration.
    """
    return [(feature, feature.used(configuration)) for feature in FEATURES if not server.has(feature.since)]


def shown(version: Version) -> str:
    """Returns a version as text.

    Args:
        version: The version.
    """
    return ".".join(map(str, version))


def _pods(configuration: "Configuration", used: Callable[[PodSettings], Any]) -> bool:
    target = configuration.targets.kubeflow
    return target is not None and any(used(pod) for pod in target.pods.values())


IGNORED = "silently ignores it"
# Before 2.5.0 the driver rejects settings that it does not know (jsonpb in backend/src/v2/cmd/driver/main.go); since
# then it discards them (UnmarshalString in backend/src/common/util/json.go). What kfp 2.17 writes of resources, every
# server since 2.0.0 reads: the fields of before 2.4.0 are written too, and unknown ones of a container are ignored.
FEATURES = (
    Feature(
        (2, 1, 0),
        "tolerations, labels, annotations, config maps, image pull settings and deadlines of pods",
        "fails the task",
        lambda configuration: _pods(
            configuration,
            lambda pod: (
                pod.tolerations
                or pod.labels
                or pod.annotations
                or pod.config_map_environment
                or pod.config_map_volumes
                or pod.image_pull_secrets
                or pod.image_pull_policy
                or pod.active_deadline_seconds
            ),
        ),
    ),
    Feature(
        (2, 4, 1),
        "retries of a task",
        "fails at the first failure",
        lambda configuration: any(one.retries for one in configuration.resources.values()),
    ),
    Feature(
        (2, 5, 0),
        "secrets, config maps, claims and image pull secrets as kfp-kubernetes 2.17 writes them",
        "fails the task",
        lambda configuration: _pods(
            configuration,
            lambda pod: (
                pod.secret_environment
                or pod.config_map_environment
                or pod.secret_volumes
                or pod.config_map_volumes
                or pod.claims
                or pod.image_pull_secrets
            ),
        ),
    ),
    Feature(
        (2, 14, 0),
        "node affinity",
        IGNORED,
        lambda configuration: _pods(configuration, lambda pod: pod.node_affinity),
    ),
    Feature(
        (2, 16, 0),
        "the folder of a claim (CLAIM/FOLDER)",
        "mounts the whole claim",
        lambda configuration: _pods(configuration, lambda pod: any("/" in one for one in pod.claims.values())),
    ),
    Feature(
        (2, 16, 0),
        "the security context of a pod",
        IGNORED,
        lambda configuration: _pods(configuration, lambda pod: pod.security_context),
    ),
    Feature(TAGS, "tags (`seqline upload --tag`)", "has no tags", lambda configuration: False),
)
