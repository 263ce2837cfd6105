"""How far the tasks of a run on Vertex are, from the records in their logs."""

from collections.abc import Iterator
from functools import partial

import pytest

from seqline.configuration.vertex import VertexTarget
from seqline.progress import PREFIX, Progress
from seqline.targets.target import Run, Task
from seqline.targets.task_progress import TaskProgress
from seqline.targets.vertex.connection import Connection
from seqline.targets.vertex.progress import SECONDS, newest_record
from tests.stand_ins.vertex import VertexStandIn


@pytest.fixture(scope="module")
def vertex() -> Iterator[VertexStandIn]:
    with VertexStandIn.running() as stand_in:
        yield stand_in


def connection(url: str) -> Connection:
    return Connection(VertexTarget(project="a-project", pipeline_root="gs://a-bucket/root", api_endpoint=url))


def run() -> Run:
    tasks = [Task("tokenize", "succeeded", id="1"), Task("train", "running", id="2"), Task("export", id="")]
    return Run("r", "training", "vertex", "running", tasks=tasks)


def test_a_running_task_shows_the_newest_record_of_its_log(vertex: VertexStandIn) -> None:
    now = [0.0]
    progress = TaskProgress(partial(newest_record, connection(vertex.url)), SECONDS, lambda: now[0])
    records = [Progress("epoch 1 of 7"), Progress("epoch 2 of 7", 0.2, {"loss": 3.0})]
    lines = vertex.pipelines.logs["2"] = ["begins", PREFIX + records[0].write(), "goes on"]
    assert [task.progress for task in progress.update(run()).tasks] == [None, records[0], None]
    lines.append(PREFIX + records[1].write())
    now[0] = SECONDS - 1  # not before: requests to read logs are few
    assert progress.update(run()).tasks[1].progress == records[0]
    now[0] = SECONDS
    assert progress.update(run()).tasks[1].progress == records[1]


def test_a_log_that_cannot_be_read_ends_no_watch() -> None:
    progress = TaskProgress(partial(newest_record, connection("http://127.0.0.1:1")), SECONDS)
    assert progress.update(run()).tasks[1].progress is None
