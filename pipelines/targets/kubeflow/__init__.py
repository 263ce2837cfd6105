"""A Kubeflow Pipelines server as a target, reached through `kfp.Client`."""

from pipelines.targets.kubeflow.target import Kubeflow

__all__ = ["Kubeflow"]
