"""A Kubeflow Pipelines server in the configuration."""

from typing import Annotated

from pydantic import Field, StringConstraints

from seqline.configuration.base import Model, ParameterValues

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
KubernetesSecret = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+$")]


class KubeflowTarget(Model):
    """A Kubeflow Pipelines server, used through `kfp.Client`."""

    host: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
    """Address of its API, such as https://kubeflow.example.org/pipeline."""
    namespace: str = "kubeflow"
    """Namespace of the runs."""
    experiment: str = "seqline"
    """Experiment of the runs; created if it does not exist."""
    pipeline_root: str = ""
    """Root of the artifacts; the server's default by default."""
    service_account: str = ""
    """Kubernetes service account of the pods; the server's default by default."""
    token_file: str = ""
    """File with a bearer token; none by default."""
    ca_file: str = ""
    """File with the certificate of the server's authority."""
    node_selectors: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Labels that a stage's node must have, by stage."""
    secret_environment: dict[EnvironmentName, KubernetesSecret] = Field(default_factory=dict)
    """Environment variables of summarize from Kubernetes secrets, as SECRET/KEY; notification.webhooks names them as
    env:NAME."""
    parameters: ParameterValues = Field(default_factory=dict)
    """Parameters for this target, merged into the common ones."""
