"""How far the tasks of a run on Kubeflow are, from the logs of their pods."""

from functools import partial

import pytest

from seqline.configuration.kubeflow import KubeflowTarget
from seqline.progress import PREFIX, Progress
from seqline.targets.kubeflow.connection import Connection
from seqline.targets.kubeflow.progress import SECONDS, newest_record, pod_of
from seqline.targets.target import Run, Task
from seqline.targets.task_progress import TaskProgress
from tests.stand_ins.kfp_server import KfpServer


@pytest.mark.parametrize(
    ("node", "pod"),
    [
        ("seqline-training-gbjpn-2018360503", "seqline-training-gbjpn-system-container-impl-2018360503"),
        ("a-b-system-container-impl-12", "a-b-system-container-impl-12"),
        ("alone", "alone"),
    ],
)
def test_a_pod_has_the_name_that_argo_gives_it(node: str, pod: str) -> None:
    assert pod_of(node) == pod


def test_a_running_task_shows_the_newest_record_of_its_pod() -> None:
    record = Progress("epoch 2 of 7", 0.2, {"loss": 3.0})
    tasks = [Task("train", "running", id="run-abc-12"), Task("tune", "running", id="run-abc-13")]
    with KfpServer.running() as server:
        server.logs["run-abc-system-container-impl-12"] = f"begins\n{PREFIX}{record.write()}\ngoes on\n"
        progress = TaskProgress(partial(newest_record, Connection(KubeflowTarget(host=server.url))), SECONDS)
        found = progress.update(Run("a-run", "training", "kubeflow", "running", tasks=tasks))
    assert [task.progress for task in found.tasks] == [record, None]
    assert not progress.refused
