"""A Kubeflow Pipelines server as a target, reached through `kfp.Client`."""

from seqline.targets.kubeflow.target import Kubeflow

__all__ = ["Kubeflow"]
