"""Settings of pods in the configuration, held to the rules of Kubernetes.

The rules: https://kubernetes.io/docs/concepts/overview/working-with-objects/names and .../labels, and
pkg/apis/core/validation/validation.go of kubernetes/kubernetes.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from seqline.configuration.base import Model

PART = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = re.compile(rf"{PART}(\.{PART})*")
QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
DATA_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
LONGEST_NAME, LONGEST_PART = 253, 63
OWNED = ("pipelines.kubeflow.org/", "workflows.argoproj.io/")
"""Prefixes of the labels by which KFP and Argo find their pods (backend/src/common/util/consts.go of
kubeflow/pipelines)."""
VOLUMES = {
    "kfp-launcher": "/kfp-launcher",
    "gcs-scratch": "/gcs",
    "s3-scratch": "/s3",
    "minio-scratch": "/minio",
    "dot-local-scratch": "/.local",
    "dot-cache-scratch": "/.cache",
    "dot-config-scratch": "/.config",
    "kfp-workspace": "/kfp-workspace",
    "custom-ca": "/kfp/certs",
    "var-run-argo": "/var/run/argo",
}
"""Volumes that KFP and Argo mount in every pod, with their folders
(backend/src/v2/compiler/argocompiler/container.go and component/constants.go of kubeflow/pipelines)."""
IMAGE_FOLDERS = ("/opt/venv", "/home/seqline", "/usr", "/etc", "/bin", "/lib", "/proc", "/sys", "/dev")
"""Folders that a stage's image needs (containers/Dockerfile)."""


def _name(value: str) -> str:
    if not SUBDOMAIN.fullmatch(value) or len(value) > LONGEST_NAME:
        raise ValueError(
            f"{value!r} is not a name of Kubernetes: use lowercase letters, digits, - and ., with a letter or digit at "
            f"both ends, {LONGEST_NAME} characters at most"
        )
    return value


def _key(value: str) -> str:
    prefix, slash, name = value.rpartition("/")
    if (slash and (not SUBDOMAIN.fullmatch(prefix) or len(prefix) > LONGEST_NAME)) or not (
        QUALIFIED.fullmatch(name) and len(name) <= LONGEST_PART
    ):
        raise ValueError(
            f"{value!r} is not a key of Kubernetes: write NAME or DOMAIN/NAME, the name of {LONGEST_PART} letters, "
            "digits, -, _ and . at most, with a letter or digit at both ends"
        )
    return value


def _label(value: str) -> str:
    if value and not (QUALIFIED.fullmatch(value) and len(value) <= LONGEST_PART):
        raise ValueError(
            f"{value!r} is not a value of a label: use {LONGEST_PART} letters, digits, -, _ and . at most, with a "
            "letter or digit at both ends"
        )
    return value


def _own_key(value: str) -> str:
    if value.startswith(OWNED):
        raise ValueError(f"{value!r} belongs to KFP or Argo, which find their pods by it; choose another key")
    return value


def _folder(value: str) -> str:
    parts = value.split("/")
    if not value.startswith("/") or ":" in value or {".", "..", ""} & set(parts[1:]):
        raise ValueError(
            f"{value!r} is not a folder of a pod: write an absolute path without :, . and .., such as /data"
        )
    for folder in VOLUMES.values():
        if value == folder or folder.startswith(f"{value}/"):
            verb = "is" if value == folder else f"hides {folder},"
            raise ValueError(f"{value} {verb} a folder of KFP; choose another folder")
    for folder in IMAGE_FOLDERS:
        if value == folder or folder.startswith(f"{value}/"):
            raise ValueError(f"{value} hides {folder} of the stage's image; choose another folder, such as /data")
    return value


def _reference(kind: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        name, slash, key = value.partition("/")
        if not slash or not DATA_KEY.fullmatch(key) or key in {".", ".."}:
            raise ValueError(f"{value!r} does not name a value of a {kind}: write NAME/KEY")
        _name(name)
        return value

    return check


def _volume(value: str) -> str:
    # The driver names the volume after the object (makeVolumeMountPatch in backend/src/v2/driver/k8s.go), and the name
    # of a volume is a label of DNS.
    name = _name(value)
    if "." in name or len(name) > LONGEST_PART:
        raise ValueError(
            f"{name!r} cannot be mounted: KFP names the volume after it, and a volume's name has no . and "
            f"{LONGEST_PART} characters at most; give the object such a name"
        )
    return value


def _claim(value: str) -> str:
    name, slash, path = value.partition("/")
    _volume(name)
    if slash and (not path or {".", "..", ""} & set(path.split("/"))):
        raise ValueError(f"{value!r} is not a claim: write CLAIM or CLAIM/FOLDER, the folder without . and ..")
    return value


ObjectName = Annotated[str, AfterValidator(_name)]
SelectorKey = Annotated[str, AfterValidator(_key)]
MetadataKey = Annotated[str, AfterValidator(_key), AfterValidator(_own_key)]
LabelValue = Annotated[str, AfterValidator(_label)]
Folder = Annotated[str, AfterValidator(_folder)]
SecretValue = Annotated[str, AfterValidator(_reference("secret"))]
ConfigMapValue = Annotated[str, AfterValidator(_reference("config map"))]
VolumeName = Annotated[str, AfterValidator(_volume)]
Claim = Annotated[str, AfterValidator(_claim)]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute", ""]


class Toleration(Model):
    """A taint that a pod tolerates."""

    key: Annotated[str, AfterValidator(lambda value: _key(value) if value else value)] = ""
    """Key of the taint; empty for all taints."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Whether the taint must have the value, or any."""
    value: LabelValue = ""
    """Value of the taint, with Equal."""
    effect: Effect = ""
    """Effect of the taint; empty for all effects."""
    seconds: Annotated[int, Field(ge=0)] | None = None
    """Time in seconds that the pod stays on a node with the taint, with NoExecute; by default it stays."""

    @model_validator(mode="after")
    def _check(self) -> "Toleration":
        if not self.key and self.operator != "Exists":
            raise ValueError("a toleration without a key is for all taints; set operator: Exists, or give the key")
        if self.operator == "Exists" and self.value:
            raise ValueError(f"operator Exists is for any value, so omit value: {self.value}, or write Equal")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError("seconds is for taints that evict pods; set effect: NoExecute, or omit seconds")
        return self


class Requirement(Model):
    """What a label of a node must be."""

    key: SelectorKey
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    """How the label is compared with the values."""
    values: list[LabelValue] = Field(default_factory=list)
    """Values; one number with Gt and Lt, none with Exists and DoesNotExist."""

    @model_validator(mode="after")
    def _check(self) -> "Requirement":
        count = len(self.values)
        if self.operator in {"In", "NotIn"} and not count:
            raise ValueError(f"operator {self.operator} compares with values; give at least one")
        if self.operator in {"Exists", "DoesNotExist"} and count:
            raise ValueError(f"operator {self.operator} takes no values; omit them, or write In")
        if self.operator in {"Gt", "Lt"} and not (count == 1 and re.fullmatch(r"-?\d+", self.values[0])):
            raise ValueError(f'operator {self.operator} compares with one whole number; give it as values: ["1"]')
        return self


class NodeAffinity(Model):
    """Nodes that a pod may run on, or should."""

    requirements: Annotated[list[Requirement], Field(min_length=1)]
    """What the node's labels must be, all of it."""
    weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """Weight of a preference; without one, a node must satisfy one of the terms that have no weight."""


class SecurityContext(Model):
    """The user of a container. KFP drops all capabilities, and an administrator's settings take precedence."""

    run_as_user: Annotated[int, Field(ge=0)] | None = None
    """Number of the user; the image's is 1000."""
    run_as_group: Annotated[int, Field(ge=0)] | None = None
    """Number of the group."""
    run_as_non_root: bool | None = None
    """Whether Kubernetes rejects a container that would run as root."""

    @model_validator(mode="after")
    def _check(self) -> "SecurityContext":
        if self.run_as_non_root and self.run_as_user == 0:
            raise ValueError("run_as_user: 0 is root, which run_as_non_root forbids; change one of the two")
        return self


class PodSettings(Model):
    """Settings of a stage's pods."""

    node_selector: dict[SelectorKey, LabelValue] = Field(default_factory=dict)
    """Labels that the node must have."""
    node_affinity: list[NodeAffinity] = Field(default_factory=list)
    """Nodes that the pod may run on, or should."""
    tolerations: list[Toleration] = Field(default_factory=list)
    """Taints that the pod tolerates."""
    labels: dict[MetadataKey, LabelValue] = Field(default_factory=dict)
    """Labels of the pod."""
    annotations: dict[MetadataKey, str] = Field(default_factory=dict)
    """Annotations of the pod."""
    image_pull_secrets: list[ObjectName] = Field(default_factory=list)
    """Secrets for the images' registry."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never", ""] = ""
    """When the image is pulled; the cluster's default by default."""
    secret_environment: dict[EnvironmentName, SecretValue] = Field(default_factory=dict)
    """Environment variables from secrets, as SECRET/KEY."""
    config_map_environment: dict[EnvironmentName, ConfigMapValue] = Field(default_factory=dict)
    """Environment variables from config maps, as CONFIGMAP/KEY."""
    secret_volumes: dict[Folder, VolumeName] = Field(default_factory=dict)
    """Secrets that are mounted, by folder."""
    config_map_volumes: dict[Folder, VolumeName] = Field(default_factory=dict)
    """Config maps that are mounted, by folder."""
    claims: dict[Folder, Claim] = Field(default_factory=dict)
    """Persistent volume claims that are mounted, by folder, as CLAIM or CLAIM/FOLDER."""
    security_context: SecurityContext | None = None
    """User of the container; the image's by default."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """Time limit of the pod in seconds; a pod of a retry has its own."""

    @model_validator(mode="after")
    def _check(self) -> "PodSettings":
        both = sorted(set(self.secret_environment) & set(self.config_map_environment))
        if both:
            raise ValueError(f"{both[0]} is in secret_environment and in config_map_environment; remove one")
        reserved = sorted(name for name in {**self.secret_environment, **self.config_map_environment} if _of_kfp(name))
        if reserved:
            raise ValueError(f"{reserved[0]} is a variable that KFP sets itself; choose another name")
        size = sum(len(key.encode()) + len(value.encode()) for key, value in self.annotations.items())
        if size > 256 * 1024:
            raise ValueError(f"annotations: they have {size:,} bytes, but Kubernetes takes 262,144 in total")
        self._check_volumes()
        return self

    def _check_volumes(self) -> None:
        folders: dict[str, str] = {}
        volumes: dict[str, str] = {}
        for kind in ("secret_volumes", "config_map_volumes", "claims"):
            for folder, source in getattr(self, kind).items():
                if folder in folders:
                    raise ValueError(f"{folder} is a folder in {folders[folder]} and in {kind}; choose another one")
                folders[folder] = kind
                name = source.partition("/")[0]
                if name in VOLUMES:
                    raise ValueError(f"{kind}: {name} is the name of a volume of KFP; give the object another name")
                if name in volumes:
                    raise ValueError(
                        f"{folder}: {name} is also mounted at {volumes[name]}, and KFP gives both volumes that name, "
                        "which Kubernetes rejects; mount it once"
                    )
                volumes[name] = folder

    def over(self, default: "PodSettings") -> "PodSettings":
        """Returns these settings over those of all stages.

        Objects are merged key by key, lists are joined, and anything else replaces the default.

        Args:
            default: The settings of all stages.

        Raises:
            ValidationError: If the two contradict each other.
        """
        merged = default.model_dump(exclude_unset=True)
        for name, value in self.model_dump(exclude_unset=True).items():
            merged[name] = _joined(merged.get(name), value)
        return PodSettings.model_validate(merged)


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return {**first, **second}
    if isinstance(first, list) and isinstance(second, list):
        return first + [one for one in second if one not in first]
    return second


def _of_kfp(variable: str) -> bool:
    # commonEnvs and metadataEnvFrom in backend/src/v2/compiler/argocompiler/container.go.
    return variable.startswith(("KFP_", "METADATA_GRPC_", "ARGO_"))
