"""A Kubeflow Pipelines server in the configuration."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from seqline.configuration.base import Model, ParameterValues
from seqline.configuration.kubernetes import PodSettings

DEFAULT = "default"
"""The key of `pods` for all stages."""
SUMMARY = "summarize"
"""The stage that notifies."""


class DexLogin(Model):
    """A user of Dex, which most distributions of Kubeflow log in with."""

    username: str
    """Name of the user, usually an e-mail address."""
    password: Annotated[str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:\S.*)$")]
    """Where the password is: env:VARIABLE or file:PATH."""
    connector: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")] = "local"
    """Connector of Dex: local for its own users, or the id of another one, such as ldap."""


class Login(Model):
    """How this machine logs in. What is set is tried in this order, then the token of the pod's service account."""

    token_file: str = ""
    """File with a bearer token, which is read again when it changes."""
    cookie_file: str = ""
    """File with the cookies of a session, as NAME=VALUE; NAME=VALUE, which is read again when it changes."""
    dex: DexLogin | None = None
    """User of Dex."""
    iap_client_id: Annotated[str, StringConstraints(pattern=r"^(\S+)?$")] = ""
    """OAuth client ID of the Identity-Aware Proxy in front of the server; the identity is a service account, that of
    GOOGLE_APPLICATION_CREDENTIALS or of this machine."""
    service_account: Literal["auto", "never"] = "auto"
    """Whether the pod's own token for KFP is used where there is one."""
    plain_http_in_cluster: bool = False
    """Whether credentials may be sent over plain HTTP to a service of the cluster, whose name ends in .svc or
    .svc.cluster.local. To any other machine they are sent over HTTPS only."""


class KubeflowTarget(Model):
    """A Kubeflow Pipelines server, used through `kfp.Client`."""

    host: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    """Address of its API, such as https://kubeflow.example.org/pipeline."""
    namespace: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] = "kubeflow"
    """Namespace of the runs; that of your profile if the server has several users."""
    experiment: str = "seqline"
    """Experiment of the runs; created if it does not exist."""
    pipeline_root: str = ""
    """Root of the artifacts; the server's default by default."""
    service_account: str = ""
    """Kubernetes service account of the pods; the server's default by default."""
    ca_file: str = ""
    """File with the certificate of the server's authority."""
    login: Login = Login()
    """How this machine logs in; a server without logins needs nothing."""
    pods: dict[str, PodSettings] = Field(default_factory=dict)
    """Settings of pods by stage; those of `default` are for all stages."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Parameters for this target, merged into the common ones."""

    @model_validator(mode="before")
    @classmethod
    def _read_earlier_keys(cls, content: Any) -> Any:
        """Reads keys of earlier versions: token_file, node_selectors and secret_environment."""
        if not isinstance(content, Mapping):
            return content
        moved = dict(content)
        token = moved.pop("token_file", None)
        if token is not None:
            _put(moved, ("login", "token_file"), token, "token_file")
        selectors = moved.pop("node_selectors", None)
        if selectors is not None and not isinstance(selectors, Mapping):
            raise ValueError("node_selectors is now pods.STAGE.node_selector; write it there")
        for stage, labels in (selectors or {}).items():
            _put(moved, ("pods", stage, "node_selector"), labels, f"node_selectors.{stage}")
        variables = moved.pop("secret_environment", None)
        if variables is not None:
            _put(moved, ("pods", SUMMARY, "secret_environment"), variables, "secret_environment")
        return moved

    @model_validator(mode="after")
    def _check_pods(self) -> "KubeflowTarget":
        for stage in self.pods:
            try:
                self.pod(stage)
            except ValidationError as error:  # noqa: PERF203
                (first, *_) = error.errors()
                message = first.get("ctx", {}).get("error", first["msg"])
                raise ValueError(f"pods.{stage}, with those of pods.{DEFAULT}: {message}") from None
        return self

    def pod(self, stage: str) -> PodSettings:
        """Returns the settings of a stage's pods, with those of all stages.

        Args:
            stage: The stage's name.
        """
        return self.pods.get(stage, PodSettings()).over(self.pods.get(DEFAULT, PodSettings()))


def _put(content: dict[str, Any], path: tuple[str, ...], value: Any, old: str) -> None:
    """Puts a value at its new place, in copies of the objects above it."""
    for key in path[:-1]:
        inner = content.get(key) or {}
        if not isinstance(inner, Mapping):
            return  # the error of this key says enough
        content[key] = dict(inner)
        content = content[key]
    if path[-1] in content:
        raise ValueError(f"{old} is now {'.'.join(path)}, which is also given; remove {old}")
    content[path[-1]] = value
