"""Runs, templates and schedules on Vertex: Google's real client against the stand-in, with faults."""

import dataclasses
import datetime
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud.aiplatform_v1 import types
from kfp import compiler, dsl

from seqline.configuration import Configuration
from seqline.errors import UnreachableError, UserError
from seqline.targets.schedule_plan import plan
from seqline.targets.target import Run, Schedule
from seqline.targets.vertex import Vertex
from tests.stand_ins.registry import RegistryStandIn
from tests.stand_ins.vertex import PROJECT, VertexStandIn

LOST = ("lost answer", "lost request", "503", "429")
FAULTS = [None, *(pytest.param(kind, marks=pytest.mark.e2e) for kind in LOST)]


@dsl.component(base_image="seqline/first:9", install_kfp_package=False)
def first(text: str) -> str:
    return text


@dsl.component(base_image="seqline/second:9", install_kfp_package=False)
def second(text: str) -> None:
    print(text)


@dsl.pipeline(name="two-tasks")
def two_tasks(text: str = "a", count: int = 3) -> None:
    """Two tasks.

    Args:
        text: Any.
        count: Any.
    """
    second(text=first(text=text).output)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "two.yaml"
    compiler.Compiler().compile(two_tasks, str(path))
    return path


@pytest.fixture
def registry() -> Iterator[RegistryStandIn]:
    with RegistryStandIn.running() as running:
        yield running


@pytest.fixture
def target(vertex: VertexStandIn, registry: RegistryStandIn) -> Vertex:
    settings: dict[str, Any] = {
        "project": PROJECT,
        "location": "us-central1",
        "pipeline_root": "gs://bucket/root",
        "repository": registry.url,
        "api_endpoint": vertex.url,
        "service_account": "runs@a-project.iam.gserviceaccount.com",
        "labels": {"team": "mt"},
    }
    made = Vertex(Configuration.model_validate({"targets": {"vertex": settings}}), sleep=lambda seconds: None)
    made.plans.clock = lambda: vertex.clock.now
    return made


def test_a_run_is_followed_to_its_end_with_its_tasks(target: Vertex, vertex: VertexStandIn, spec: Path) -> None:
    seen: list[str] = []
    vertex.pipelines.cached.add("first")

    def on_change(run: Run) -> None:
        seen.append(f"{run.state} {' '.join(task.state for task in run.tasks)}")

    run = target.run(str(spec), {"text": "b", "count": 5}, on_change=on_change)
    assert run.state == "succeeded"
    assert [(task.name, task.state) for task in run.tasks] == [("first", "cached"), ("second", "succeeded")]
    assert run.parameters == {"text": "b", "count": 5}
    assert "running running pending" in seen
    assert run.console == (
        f"https://console.cloud.google.com/vertex-ai/locations/us-central1/pipelines/runs/{run.id}?project=a-project"
    )
    (request,) = vertex.called("CreatePipelineJob")
    assert dict(request.pipeline_job.labels) == {"team": "mt", "managed-by": "seqline"}
    assert request.pipeline_job.service_account == "runs@a-project.iam.gserviceaccount.com"
    assert [one.id for one in target.runs("two-tasks")] == [run.id]
    assert list(target.logs(run.id)) == [
        "first: first begins",
        "first: first ends",
        "second: second begins",
        "second: second ends",
    ]
    assert list(target.logs("latest", "second")) == ["second begins", "second ends"]


def test_a_failed_run_says_why(target: Vertex, vertex: VertexStandIn, spec: Path) -> None:
    vertex.pipelines.failing["first"] = "data: there is no file gs://bucket/none"
    run = target.run(str(spec), {}, on_change=lambda run: None)
    assert run.state == "failed"
    assert [(task.state, task.error) for task in run.tasks] == [
        ("failed", "data: there is no file gs://bucket/none"),
        ("skipped", ""),
    ]


@pytest.mark.parametrize("fault", [LOST[0], *(pytest.param(kind, marks=pytest.mark.e2e) for kind in LOST[1:])])
def test_a_lost_answer_makes_no_second_run(target: Vertex, vertex: VertexStandIn, spec: Path, fault: Any) -> None:
    vertex.faults.add("CreatePipelineJob", fault, times=2)
    run = target.run(str(spec), {})
    assert list(vertex.pipelines.resources.items) == [
        f"projects/123456789012/locations/us-central1/pipelineJobs/{run.id}"
    ]


def test_a_cancelled_run_stays_cancelled(target: Vertex, vertex: VertexStandIn, spec: Path) -> None:
    run = target.run(str(spec), {})
    vertex.faults.add("CancelPipelineJob", "lost answer")
    assert target.cancel(run.id).state == "cancelled"
    assert target.cancel(run.id).state == "cancelled"


def test_without_the_cache_no_task_is_taken_from_it(target: Vertex, vertex: VertexStandIn, spec: Path) -> None:
    target.run(str(spec), {}, cache=False)
    (request,) = vertex.called("CreatePipelineJob")
    tasks = dict(request.pipeline_job.pipeline_spec)["root"]["dag"]["tasks"]
    assert [dict(task["cachingOptions"]) for task in tasks.values()] == [{}, {}]


def test_who_may_not_is_told_which_role_is_needed(target: Vertex, vertex: VertexStandIn, spec: Path) -> None:
    vertex.faults.add("*", "permission denied", times=9)
    with pytest.raises(UnreachableError, match=r"cannot start run .* needs the role roles/aiplatform.user"):
        target.run(str(spec), {})
    assert "roles/aiplatform.user" in str(target.check()[0])


def test_a_service_that_is_away_is_named(target: Vertex, vertex: VertexStandIn, spec: Path) -> None:
    vertex.faults.add("*", "503", times=99)
    with pytest.raises(UnreachableError, match="does not respond"):
        target.runs()


@pytest.mark.parametrize(
    "fault", [None, "lost answer", *(pytest.param(kind, marks=pytest.mark.e2e) for kind in LOST[1:])]
)
def test_an_upload_is_one_version_and_its_tags_move(
    target: Vertex, registry: RegistryStandIn, spec: Path, fault: Any, tmp_path: Path
) -> None:
    if fault:
        registry.faults.add("*", fault, times=2)
    template = target.upload(spec, ["live"])
    assert len(registry.versions["two-tasks"]) == 1
    assert template.reference == f"{registry.url}/two-tasks/{template.version}"
    other = tmp_path / "other.yaml"
    other.write_text(spec.read_text() + "# other\n")
    later = target.upload(other, ["live"])
    assert later.version != template.version
    assert target.templates.resolve(f"{registry.url}/two-tasks/live") == later.reference
    assert target.parameters(template.reference).types == {"text": "STRING", "count": "NUMBER_INTEGER"}


def test_a_run_from_a_tag_runs_the_version_that_it_points_at(
    target: Vertex, vertex: VertexStandIn, registry: RegistryStandIn, spec: Path
) -> None:
    template = target.upload(spec, ["live"])
    run = target.run(f"{registry.url}/two-tasks/live", {"count": 4})
    assert run.pipeline == "two-tasks"
    with pytest.raises(UserError, match="is not found"):
        target.run(f"{registry.url}/two-tasks/dead", {})
    assert template.version.startswith("sha256:")


def wanted(target: Vertex, spec: Path, **fields: Any) -> Schedule:
    values = {"name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Paris", "parameters": {"count": 4}}
    template = target.upload(spec).reference
    made = Schedule(**{**values, "template": template, "spec": target.digest(template), **fields})
    return dataclasses.replace(made, settings=target.run_settings())


def apply(target: Vertex, *schedules: Schedule, prune: bool = False) -> list[tuple[str, list[str]]]:
    steps = plan(schedules, target.schedules(), target.updatable, prune, target.plans.clock())
    for step in steps:
        if step.action == "delete":
            assert step.existing
            target.delete_schedule(step.existing)
        if step.action in {"create", "update", "replace"}:
            assert step.wanted
            target.save_schedule(step.wanted, step.existing)
    return [(step.action, [difference.field for difference in step.differences]) for step in steps]


@pytest.mark.parametrize(
    "fault", [None, "lost answer", *(pytest.param(kind, marks=pytest.mark.e2e) for kind in LOST[1:])]
)
def test_a_schedule_is_made_once_and_then_unchanged(
    target: Vertex, vertex: VertexStandIn, spec: Path, fault: Any
) -> None:
    if fault:
        vertex.faults.add("CreateSchedule", fault, times=2)
    assert apply(target, wanted(target, spec)) == [("create", [])]
    assert apply(target, wanted(target, spec)) == [("unchanged", [])]
    (made,) = target.schedules()
    assert (made.name, made.state, made.parameters, made.max_active_runs) == ("nightly", "active", {"count": 4}, 1)
    # The first id that the service gave: no second schedule was ever made.
    assert [name.rpartition("/")[2] for name in vertex.schedules.resources.items] == ["1001"]


def test_what_the_api_can_change_is_updated_in_place(target: Vertex, vertex: VertexStandIn, spec: Path) -> None:
    apply(target, wanted(target, spec))
    (before,) = target.schedules()
    vertex.faults.add("UpdateSchedule", "lost answer")
    changed = wanted(target, spec, cron="30 4 * * *", max_active_runs=2, state="paused")
    assert apply(target, changed) == [("update", ["cron", "max_active_runs", "state"])]
    (after,) = target.schedules()
    assert (after.id, after.cron, after.state) == (before.id, "30 4 * * *", "paused")
    assert apply(target, changed) == [("unchanged", [])]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("minutes", [1, 8])
def test_a_replacement_misses_no_run_and_doubles_none(
    target: Vertex, vertex: VertexStandIn, spec: Path, fault: Any, minutes: int
) -> None:
    start = vertex.clock.now.replace(hour=3, minute=0, second=5, microsecond=0) + datetime.timedelta(days=2)
    vertex.clock.now = start
    apply(target, wanted(target, spec, cron="*/2 * * * *", timezone="UTC", max_active_runs=100))
    vertex.schedules.pass_time(start + datetime.timedelta(minutes=minutes))
    if fault:
        vertex.faults.add("*", fault, times=3)
    changed = wanted(target, spec, cron="*/2 * * * *", timezone="UTC", max_active_runs=100, parameters={"count": 9})
    assert apply(target, changed) == [("replace", ["parameters.count"])]
    vertex.schedules.pass_time(start + datetime.timedelta(minutes=minutes + 10))
    apply(target, changed)
    jobs = vertex.pipelines.resources.items.values()
    moments = sorted(job.create_time.replace(second=0, microsecond=0) for job in jobs)
    assert len(set(moments)) == len(moments)
    assert {later - sooner for sooner, later in itertools.pairwise(moments)} == {datetime.timedelta(minutes=2)}
    counts = [job.runtime_config.parameter_values["count"] for job in sorted(jobs, key=lambda job: job.create_time)]
    assert counts == sorted(counts)
    assert set(counts) >= {9}
    assert [name.rpartition("/")[2] for name in vertex.schedules.resources.items] == ["1002"]
    assert apply(target, changed) == [("unchanged", [])]


@pytest.mark.parametrize(
    ("first", "second"),
    [(None, 3), (3, 5), (5, 3), (3, None)],
    ids=["added", "later", "earlier", "removed"],
)
def test_another_start_is_a_replacement_and_nothing_runs_before_it(
    target: Vertex, vertex: VertexStandIn, spec: Path, first: int | None, second: int | None
) -> None:
    begin = vertex.clock.now.replace(hour=12, minute=0, second=5, microsecond=0) + datetime.timedelta(days=2)
    vertex.clock.now = begin

    def starting(days: int | None) -> Schedule:
        start = begin + datetime.timedelta(days=days) if days else None
        return wanted(target, spec, timezone="UTC", max_active_runs=100, start=start)

    apply(target, starting(first))
    assert apply(target, starting(second)) == [("replace", ["start"])]
    assert apply(target, starting(second)) == [("unchanged", [])]
    vertex.schedules.pass_time(begin + datetime.timedelta(days=6))
    runs = sorted(job.create_time for job in vertex.pipelines.resources.items.values())
    assert len(runs) == 6 - (second or 0)
    assert all(run >= begin + datetime.timedelta(days=second or 0) for run in runs)
    assert len(vertex.schedules.resources.items) == 1


def test_a_run_that_is_due_before_the_handover_to_a_later_start_is_the_last(
    target: Vertex, vertex: VertexStandIn, spec: Path
) -> None:
    begin = vertex.clock.now.replace(hour=12, minute=0, second=5, microsecond=0) + datetime.timedelta(days=2)
    vertex.clock.now = begin
    every = {"cron": "*/2 * * * *", "timezone": "UTC", "max_active_runs": 100}
    later = {**every, "start": begin + datetime.timedelta(hours=2)}
    apply(target, wanted(target, spec, **every))
    apply(target, wanted(target, spec, **later))
    vertex.schedules.pass_time(begin + datetime.timedelta(hours=1))
    assert len(vertex.pipelines.resources.items) == 1
    assert apply(target, wanted(target, spec, **later)) == [("update", ["superseded"])]
    assert apply(target, wanted(target, spec, **later)) == [("unchanged", [])]


def test_an_interrupted_replacement_is_completed_by_the_next_apply(
    target: Vertex, vertex: VertexStandIn, spec: Path
) -> None:
    apply(target, wanted(target, spec))
    vertex.faults.add("UpdateSchedule", "permission denied")
    changed = wanted(target, spec, parameters={"count": 9})
    with pytest.raises(UnreachableError):
        apply(target, changed)
    assert len(vertex.schedules.resources.items) == 2
    assert apply(target, changed) == [("update", ["superseded"])]
    assert len(vertex.schedules.resources.items) == 1
    assert apply(target, changed) == [("unchanged", [])]


def test_apply_leaves_other_peoples_schedules_alone(target: Vertex, vertex: VertexStandIn, spec: Path) -> None:
    apply(target, wanted(target, spec))
    (own,) = vertex.schedules.resources.items.values()
    job = types.PipelineJob(own.create_pipeline_job_request.pipeline_job)
    job.labels = {"team": "other"}
    foreign = vertex.schedules.create_schedule(
        types.CreateScheduleRequest(
            parent=target.connection.parent,
            schedule=types.Schedule(
                display_name=own.display_name,
                cron=own.cron,
                max_concurrent_run_count=1,
                create_pipeline_job_request=types.CreatePipelineJobRequest(
                    parent=target.connection.parent, pipeline_job=job
                ),
            ),
        )
    )
    before = types.Schedule(foreign)
    assert apply(target, wanted(target, spec)) == [("unchanged", [])]
    assert apply(target, wanted(target, spec, cron="5 3 * * *", state="paused")) == [("update", ["cron", "state"])]
    assert apply(target, wanted(target, spec, parameters={"count": 9}))[0][0] == "replace"
    assert apply(target, wanted(target, spec, name="hourly"), prune=True) == [("create", []), ("delete", [])]
    assert [one.name for one in target.schedules()] == ["hourly"]
    target.delete_schedule(wanted(target, spec))
    assert vertex.schedules.resources.items[foreign.name] == before


def test_a_schedule_pauses_resumes_and_goes(target: Vertex, vertex: VertexStandIn, spec: Path) -> None:
    apply(target, wanted(target, spec))
    (made,) = target.schedules()
    for fault in ("lost answer", "503"):
        vertex.faults.add("PauseSchedule", fault)
        vertex.faults.add("ResumeSchedule", fault)
    assert target.pause_schedule(made).state == "paused"
    assert target.pause_schedule(made).state == "paused"
    assert target.resume_schedule(made).state == "active"
    vertex.faults.add("DeleteSchedule", "lost answer")
    target.delete_schedule(made)
    target.delete_schedule(made)
    assert target.schedules() == []


def test_another_spec_is_a_replacement(target: Vertex, spec: Path, tmp_path: Path) -> None:
    apply(target, wanted(target, spec))
    other = tmp_path / "other.yaml"
    other.write_text(spec.read_text() + "# other\n")
    assert apply(target, wanted(target, other)) == [("replace", ["spec"])]
