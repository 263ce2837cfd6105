"""Kubeflow: the real `kfp.Client` against a stand-in of the server, with faults."""

import copy
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from urllib3.exceptions import HTTPError

from seqline.configuration import Configuration
from seqline.errors import UnreachableError, UserError
from seqline.targets.kubeflow import Kubeflow
from seqline.targets.schedule_plan import carry_out, plan
from seqline.targets.target import Schedule, UnsupportedError
from tests.stand_ins.kfp_server import KfpServer

FAULTS = [None, *(pytest.param(kind, marks=pytest.mark.e2e) for kind in ("lost answer", "503"))]
SPEC = {
    "pipelineInfo": {"name": "two-tasks"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "components": {"comp-first": {"executorLabel": "exec-first"}, "comp-second": {"executorLabel": "exec-second"}},
    "deploymentSpec": {
        "executors": {
            f"exec-{name}": {"container": {"image": "a", "command": ["true"]}} for name in ("first", "second")
        }
    },
    "root": {
        "dag": {
            "tasks": {
                "first": {"componentRef": {"name": "comp-first"}, "taskInfo": {"name": "first"}},
                "second": {
                    "componentRef": {"name": "comp-second"},
                    "taskInfo": {"name": "second"},
                    "dependentTasks": ["first"],
                },
            }
        },
        "inputDefinitions": {"parameters": {"count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3}}},
    },
}


@pytest.fixture
def server() -> Iterator[KfpServer]:
    with KfpServer.running() as running:
        yield running


@pytest.fixture
def target(server: KfpServer) -> Kubeflow:
    pods = {"train": {"node_selector": {"pool": "gpu"}}}
    settings = {"host": server.url, "service_account": "runner", "pods": pods}
    made = Kubeflow(Configuration.model_validate({"targets": {"kubeflow": settings}}), sleep=lambda seconds: None)
    made.connection.client  # noqa: B018 (made before the faults)
    return made


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(SPEC))
    return path


def test_a_run_is_followed_to_its_end(target: Kubeflow, server: KfpServer, spec: Path) -> None:
    states = []
    run = target.run(str(spec), {"count": 5}, on_change=lambda run: states.append(run.state))
    assert (run.state, run.pipeline, run.parameters) == ("succeeded", "two-tasks", {"count": 5})
    assert [(task.name, task.state) for task in run.tasks] == [("first", "succeeded"), ("second", "succeeded")]
    assert states[0] == "running"
    assert run.console == f"{server.url}/#/runs/details/{run.id}"
    assert [one.id for one in target.runs("two-tasks")] == [run.id]
    (sent,) = server.runs.values()
    assert sent["service_account"] == "runner"
    with pytest.raises(UnsupportedError, match=rf"logs --namespace kubeflow --selector pipeline/runid={run.id} "):
        target.logs(run.id)


def test_a_failed_run_says_why(target: Kubeflow, server: KfpServer, spec: Path) -> None:
    server.failing["first"] = "there is no such file"
    run = target.run(str(spec), {}, on_change=lambda run: None)
    assert (run.state, run.error) == ("failed", "there is no such file")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lost_answer_makes_no_second_run_or_version(
    target: Kubeflow, server: KfpServer, spec: Path, fault: Any
) -> None:
    for call in ("POST runs", "POST pipelines upload", "POST pipelines upload_version") if fault else ():
        server.faults.add(call, fault)
    template = target.upload(spec)
    assert target.upload(spec) == template
    run = target.run(template.reference, {"count": 4})
    assert list(server.runs) == [run.id]
    assert [one["display_name"][:7] for one in server.versions.values()] == ["two-tas", "sha256-"]
    assert target.parameters(template.reference).types == {"count": "NUMBER_INTEGER"}
    assert target.digest(template.reference) == target.digest(str(spec))


def test_a_tag_points_at_one_version_and_starts_its_runs(target: Kubeflow, server: KfpServer, spec: Path) -> None:
    first = target.upload(spec, ["live", "first"])
    assert first.tags == ("first", "live")
    spec.write_text(spec.read_text().replace("first", "one"))
    server.faults.add("PATCH pipelines", "lost answer")
    second = target.upload(spec, ["live"])
    tagged = {id_: sorted(version.get("tags", {})) for id_, version in server.versions.items()}
    assert (tagged[first.version], tagged[second.version]) == (["first"], ["live"])
    pipeline = second.reference.removesuffix(f"/{second.version}")
    assert target.digest(f"{pipeline}/live") == target.digest(str(spec))
    target.run(f"{pipeline}/live", {})
    (run,) = server.runs.values()
    assert run["pipeline_version_reference"]["pipeline_version_id"] == second.version
    with pytest.raises(UserError, match="has no version and no tag 'other'"):
        target.run(f"{pipeline}/other", {})


@pytest.mark.parametrize("tag", ["", "v1.2", "a/b", "a" * 64])
def test_a_tag_that_the_server_would_refuse_is_refused_before_the_upload(
    target: Kubeflow, server: KfpServer, spec: Path, tag: str
) -> None:
    with pytest.raises(UserError, match="is not a tag of KFP"):
        target.upload(spec, [tag])
    assert server.pipelines == {}


def test_a_server_without_tags_says_since_when_there_are_any(target: Kubeflow, server: KfpServer, spec: Path) -> None:
    server.tag = "2.16.1"
    with pytest.raises(UnsupportedError, match=r"this server is KFP 2\.16\.1, and tags came with 2\.17\.0"):
        target.upload(spec, ["live"])
    assert server.pipelines == {}


def test_a_run_is_cancelled_once(target: Kubeflow, server: KfpServer, spec: Path) -> None:
    run = target.run(str(spec), {})
    server.faults.add("POST runs terminate", "lost answer")
    assert target.cancel(run.id).state == "cancelled"
    assert target.cancel(run.id).state == "cancelled"


def apply(target: Kubeflow, *wanted: Schedule, prune: bool = False) -> list[str]:
    steps = plan(wanted, target.schedules(), target.updatable, prune)
    for step in steps:
        carry_out(step, target, {schedule.name: schedule.template for schedule in wanted})
    return [step.action for step in steps]


Make = Callable[..., Schedule]


@pytest.fixture
def schedule(target: Kubeflow, spec: Path) -> Make:
    """Makes a schedule of the uploaded pipeline."""
    reference = target.upload(spec).reference
    settings, digest = target.run_settings(), target.digest(reference)

    def make(name: str = "nightly", **fields: Any) -> Schedule:
        values = {"cron": "0 3 * * *", "template": reference, "spec": digest, "parameters": {"count": 4}, **fields}
        return Schedule(name=name, settings=settings, **values)

    return make


@pytest.mark.parametrize("fault", FAULTS)
def test_schedules_are_applied_once_and_replaced(
    target: Kubeflow, server: KfpServer, schedule: Make, fault: Any
) -> None:
    for call in ("POST recurringruns", "DELETE recurringruns", "POST recurringruns enable") if fault else ():
        server.faults.add(call, fault)
    assert apply(target, schedule()) == ["create"]
    assert apply(target, schedule()) == ["unchanged"]
    (made,) = server.recurring.values()
    assert (made["mode"], made["trigger"]["cron_schedule"]["cron"]) == ("ENABLE", "0 0 3 * * *")
    assert apply(target, schedule(state="paused")) == ["update"]
    assert apply(target, schedule(parameters={"count": 5}, state="paused")) == ["replace"]
    (made,) = server.recurring.values()
    assert (made["mode"], made["runtime_config"]["parameters"]) == ("DISABLE", {"count": 5})
    (shown,) = target.schedules()
    assert target.resume_schedule(shown).state == "active"
    target.delete_schedule(shown)
    assert target.schedules() == []


def test_a_schedule_of_a_tag_runs_the_version_that_it_points_at(
    target: Kubeflow, server: KfpServer, schedule: Make, spec: Path
) -> None:
    uploaded = target.upload(spec, ["live"])
    tag = f"{uploaded.reference.removesuffix(f'/{uploaded.version}')}/live"
    assert apply(target, schedule(template=tag)) == ["create"]
    (made,) = server.recurring.values()
    assert made["pipeline_version_reference"]["pipeline_version_id"] == uploaded.version
    assert apply(target, schedule(template=tag)) == ["unchanged"]


def test_the_replacement_of_an_active_schedule_doubles_no_run(
    target: Kubeflow, server: KfpServer, schedule: Make
) -> None:
    apply(target, schedule(cron="* * * * *"))
    (before,) = target.schedules()
    server.pace = datetime.timedelta(minutes=1)
    assert apply(target, schedule(cron="* * * * *", parameters={"count": 5})) == ["replace"]
    server.pass_time(server.now + datetime.timedelta(minutes=2))
    (after,) = target.schedules()
    assert (after.state, after.parameters, after.id != before.id) == ("active", {"count": 5}, True)
    assert len(server.started) > 4
    assert len(set(server.started)) == len(server.started)


def test_after_an_interrupted_replacement_one_schedule_is_active_and_the_next_apply_removes_the_other(
    target: Kubeflow, server: KfpServer, schedule: Make
) -> None:
    apply(target, schedule())
    changed = schedule(parameters={"count": 5})
    server.faults.add("DELETE recurringruns", "permission denied")
    with pytest.raises(UnreachableError):
        apply(target, changed)
    modes = {one["runtime_config"]["parameters"]["count"]: one["mode"] for one in server.recurring.values()}
    assert modes == {4: "DISABLE", 5: "ENABLE"}
    assert apply(target, changed) != ["unchanged"]
    (left,) = server.recurring.values()
    assert (left["mode"], left["runtime_config"]["parameters"]) == ("ENABLE", {"count": 5})
    assert apply(target, changed) == ["unchanged"]


def test_apply_leaves_other_schedules_alone(target: Kubeflow, server: KfpServer, schedule: Make) -> None:
    apply(target, schedule("weekly"), schedule("nightly"))
    (foreign, own) = list(server.recurring.values())
    foreign |= {"description": "made in the console", "display_name": "nightly"}
    before = copy.deepcopy(foreign)
    assert apply(target, schedule("hourly")) == ["create", "ignored"]
    assert sorted(one.name for one in target.schedules()) == sorted(["hourly", own["display_name"]])
    assert apply(target, schedule("hourly", parameters={"count": 9}), prune=True) == ["replace", "delete"]
    assert [one.name for one in target.schedules()] == ["hourly"]
    target.delete_schedule(schedule("nightly"))
    assert server.recurring[before["recurring_run_id"]] == before


def test_a_server_that_refuses_or_is_away_is_named(target: Kubeflow, server: KfpServer) -> None:
    server.faults.add("*", "permission denied")
    with pytest.raises(UnreachableError, match="denies access"):
        target.runs()
    server.faults.add("*", "503", times=9)
    with pytest.raises(UnreachableError, match="does not respond"):
        target.runs()


def test_a_certificate_that_is_not_trusted_is_named_at_once(target: Kubeflow) -> None:
    waited: list[float] = []
    target.connection.sleep = waited.append

    def untrusted(client: Any) -> None:
        raise HTTPError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")

    with pytest.raises(UserError, match=r"is not trusted; set targets\.kubeflow\.ca_file"):
        target.connection.read("list the runs", untrusted)
    assert waited == []


def test_settings_of_pods_are_a_second_document_beside_the_portable_spec(target: Kubeflow, tmp_path: Path) -> None:
    from seqline.compiling.compiler import compile_pipeline

    portable = compile_pipeline("training", tmp_path / "portable.yaml", target.configuration)
    path = target.compile("training", tmp_path / "kubeflow.yaml")
    spec, platform = yaml.safe_load_all(path.read_text())
    assert spec == yaml.safe_load(portable.read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors == {"exec-train": {"nodeSelector": {"labels": {"pool": "gpu"}}}}


def test_only_the_last_task_has_the_secrets_of_its_notifications(tmp_path: Path) -> None:
    pods = {"summarize": {"secret_environment": {"HOOK": "notifications/url"}}}
    settings = {"host": "http://kfp", "pods": pods}
    target = Kubeflow(Configuration.model_validate({"targets": {"kubeflow": settings}}))
    _, platform = yaml.safe_load_all(target.compile("batch", tmp_path / "batch.yaml").read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert list(executors) == ["exec-summarize"]
    (secret,) = executors["exec-summarize"]["secretAsEnv"]
    assert (secret["secretName"], secret["keyToEnv"]) == ("notifications", [{"secretKey": "url", "envVar": "HOOK"}])
