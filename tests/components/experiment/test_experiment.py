"""A run enters its Experiment: the real client against the stand-in."""

from typing import Any

import pytest
from google.cloud.aiplatform_v1 import types
from kfp import compiler, dsl

from seqline.components.experiment.stage import enter
from seqline.configuration import Configuration
from seqline.errors import UserError
from seqline.targets.vertex import Vertex
from tests.stand_ins.vertex import PROJECT, VertexStandIn

PARENT = f"projects/{PROJECT}/locations/us-central1"
LABELS = {"team": "mt"}


@dsl.component(base_image="seqline/first:9", install_kfp_package=False)
def first() -> None: ...


@dsl.pipeline(name="one-task")
def one_task() -> None:
    """One task."""
    first()


@pytest.fixture
def run(vertex: VertexStandIn, tmp_path: Any) -> str:
    """A run that has begun."""
    compiler.Compiler().compile(one_task, str(tmp_path / "spec.yaml"))
    settings = {
        "project": PROJECT,
        "location": "us-central1",
        "pipeline_root": "gs://bucket/root",
        "api_endpoint": vertex.url,
    }
    target = Vertex(Configuration.model_validate({"targets": {"vertex": settings}}))
    return f"{PARENT}/pipelineJobs/{target.run(str(tmp_path / 'spec.yaml'), {}).id}"


def test_the_first_run_creates_the_experiment_and_each_is_in_it_once(vertex: VertexStandIn, run: str) -> None:
    for _ in range(2):
        assert enter("translation", run, LABELS, vertex.url)
    (children,) = vertex.metadata.children.values()
    assert [name.rpartition("/")[2] for name in children] == [run.rpartition("/")[2]]
    (request,) = vertex.called("CreateContext")
    assert (request.context.schema_title, dict(request.context.labels)) == ("system.Experiment", LABELS)


def test_an_experiment_that_another_run_creates_meanwhile_is_used(
    vertex: VertexStandIn, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, create = vertex.metadata.get_context, vertex.metadata.create_context

    def get_context(request: types.GetContextRequest) -> types.Context:
        vertex.metadata.get_context = get  # type: ignore[method-assign]
        store = request.name.partition("/contexts/")[0]
        other = types.Context(display_name="translation", schema_title="system.Experiment", schema_version="0.0.1")
        try:
            return get(request)
        finally:
            create(types.CreateContextRequest(parent=store, context=other, context_id="translation"))

    vertex.metadata.get_context = get_context  # type: ignore[method-assign]
    assert enter("translation", run, LABELS, vertex.url)


def test_the_context_of_a_run_is_waited_for(vertex: VertexStandIn, run: str) -> None:
    get, pauses = vertex.pipelines.get_pipeline_job, list[float]()

    def get_pipeline_job(request: Any) -> types.PipelineJob:
        job = types.PipelineJob(get(request))
        if len(pauses) < 3:
            job.job_detail.pipeline_run_context = None
        return job

    vertex.pipelines.get_pipeline_job = get_pipeline_job  # type: ignore[method-assign]
    assert enter("translation", run, LABELS, vertex.url, pauses.append)
    assert len(pauses) == 3


@pytest.mark.parametrize("procedure", ["CreateContext", "AddContextChildren", "GetPipelineJob"])
def test_what_fails_does_not_fail_the_run(
    vertex: VertexStandIn, run: str, procedure: str, caplog: pytest.LogCaptureFixture
) -> None:
    vertex.faults.add(procedure, "permission denied")
    assert not enter("translation", run, LABELS, vertex.url)
    assert "the run is not in the experiment translation" in caplog.text


def test_a_name_that_is_another_contexts_is_refused(
    vertex: VertexStandIn, run: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not enter(run.rpartition("/")[2], run, LABELS, vertex.url)
    assert "is not an Experiment, but of the type system.PipelineRun; choose another name" in caplog.text


def test_a_run_that_is_none_is_refused(vertex: VertexStandIn) -> None:
    with pytest.raises(UserError, match="is not projects/P/locations/L/pipelineJobs/ID"):
        enter("translation", "run-1", {}, vertex.url)
