"""Kubeflow Pipelines' driver and launcher: runs a compiled pipeline as a cluster does, without a cluster.

Each task runs as the process of its compiled command in an empty folder, with copies of its input artifacts from an
object store, to which its output artifacts are copied. Each rule has its source in kubeflow/pipelines beside it, as
`path at 2.17.0`; those of 2.5.0 are the same unless noted.
"""

from tests.stand_ins.kfp_launcher.cluster import Cluster as Cluster
from tests.stand_ins.kfp_launcher.cluster import Run as Run
from tests.stand_ins.kfp_launcher.cluster import TaskRun as TaskRun
from tests.stand_ins.kfp_launcher.launcher import Kill as Kill
