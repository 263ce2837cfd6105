"""Key, labels and network reach every resource: the compiled specs and all requests to Vertex are walked."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from google.cloud import aiplatform_v1 as v1
from google.protobuf import json_format
from google_cloud_pipeline_components.container.v1.custom_job import remote_runner
from google_cloud_pipeline_components.container.v1.gcp_launcher.utils import json_util
from kfp.dsl.types import artifact_types

from seqline.components.experiment.stage import enter
from seqline.configuration import Configuration
from seqline.configuration.images import Images
from seqline.configuration.vertex import TrainingJob
from seqline.endpoints import vertex as back_end
from seqline.errors import UserError
from seqline.pipelines import PIPELINES
from seqline.targets.target import Schedule
from seqline.targets.vertex import Vertex
from seqline.targets.vertex.carried import RUN
from seqline.targets.vertex.jobs import pipeline_job
from seqline.targets.vertex.worker_pools import trial_worker, worker_pools
from seqline.vertex_api.clients import connect
from tests.components.deploy.test_deploy import decide
from tests.seqline.targets.vertex.test_deploying import ENDPOINT, executed
from tests.stand_ins.resources import lacking
from tests.stand_ins.vertex import PROJECT, VertexStandIn

PARENT = f"projects/{PROJECT}/locations/us-central1"
KEY = f"{PARENT}/keyRings/r/cryptoKeys/k"
LABELS = {"team": "mt", "cost-center": "42"}
TENSORBOARD = f"{PARENT}/tensorboards/1"
ATTACHMENT = f"projects/{PROJECT}/regions/us-central1/networkAttachments/vertex"
TRAINING = {
    "machine_type": "g2-standard-8", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "flex_start": True,
    "max_wait": 3600, "tensorboard": TENSORBOARD,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "project": PROJECT, "location": "us-central1", "pipeline_root": "gs://bucket/root", "encryption_key": KEY,
    "labels": LABELS, "service_account": "runs@a-project.iam.gserviceaccount.com", "training": TRAINING,
    "dataflow": {}, "experiment": "translation", "network_attachment": ATTACHMENT, "notify": ["team@example.org"],
    "dns_peering": [{"domain": "corp.example.", "project": "dns", "network": "shared"}],
}  # fmt: skip
PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\['(\w+)'\]\}\}")
MESSAGES = {"CustomJob": v1.CustomJob, "HyperparameterTuningJob": v1.HyperparameterTuningJob}
# Stands for the launcher's client: returns the job that it would create.
LAUNCHED = SimpleNamespace(create_custom_job=lambda parent, custom_job: custom_job)
# Outputs of plan_trials.
PLANNED = {
    "max_trial_count": 2,
    "study_spec_parameters": [{"parameter_id": "rate", "double_value_spec": {"min_value": 0.1, "max_value": 1}}],
}


def target(vertex: VertexStandIn | None = None, **changed: Any) -> Vertex:
    settings = {**SETTINGS, **({"api_endpoint": vertex.url} if vertex else {}), **changed}
    return Vertex(Configuration.model_validate({"targets": {"vertex": settings}}), sleep=lambda seconds: None)


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("specs")
    return {name: target().compile(name, folder / f"{name}.yaml") for name in PIPELINES}


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()))


def tasks(spec: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The tasks of a spec, each with its component."""
    for part in (spec["root"], *spec["components"].values()):
        for task in part.get("dag", {}).get("tasks", {}).values():
            yield task, spec["components"][task["componentRef"]["name"]]


def launched(spec: dict[str, Any]) -> Iterator[Any]:
    """The requests of all jobs that google-cloud-pipeline-components launches, by its own code."""
    for task, component in tasks(spec):
        executor = spec["deploymentSpec"]["executors"].get(component.get("executorLabel", ""), {})
        arguments = executor.get("container", {}).get("args", [])
        kind = arguments[arguments.index("--type") + 1] if "--type" in arguments else ""
        if kind not in MESSAGES:
            continue
        given = task.get("inputs", {}).get("parameters", {})
        known = component["inputDefinitions"]["parameters"]
        worker = {"machine_spec": {"machine_type": "g2-standard-8", "accelerator_type": "NVIDIA_L4"}}
        worker["machine_spec"]["accelerator_count"] = 1  # type: ignore[assignment]
        planned = {**PLANNED, "worker_pool_specs": [{**worker, "container_spec": {"image_uri": "i"}}]}

        def value(match: re.Match[str], given: Any = given, known: Any = known, planned: Any = planned) -> str:
            name = match[1]
            found = given.get(name, {}).get("runtimeValue", {}).get("constant", known[name].get("defaultValue"))
            found = planned.get(name, "") if found is None else found
            found = int(found) if isinstance(found, float) and found.is_integer() else found
            text = found if isinstance(found, str) else json.dumps(found)
            return "" if text.startswith("{{$.pipeline_persistent") else text

        template = arguments[arguments.index("--payload") + 1]
        if template.startswith('{"Concat"'):
            template = "".join(json.loads(template)["Concat"])
        payload = json_util.recursive_remove_empty(json.loads(PLACEHOLDER.sub(value, template), strict=False))
        if kind == "CustomJob":
            payload = remote_runner.create_custom_job_with_client(LAUNCHED, PARENT, payload)
        message = MESSAGES[kind]()
        json_format.ParseDict(payload, type(message).pb(message))
        yield message


def test_what_lacks_the_key_or_a_label_is_found() -> None:
    job = v1.PipelineJob(labels={"team": "mt"})
    schedule = v1.Schedule(create_pipeline_job_request={"parent": PARENT, "pipeline_job": job})
    found = lacking(v1.CreateScheduleRequest(parent=PARENT, schedule=schedule), KEY, LABELS)
    job_path = ".schedule.create_pipeline_job_request.pipeline_job"
    assert found == [f"{job_path}.encryption_spec", f"{job_path}.labels"]


def test_every_job_of_the_compiled_specs_carries_key_labels_and_network(
    specs: dict[str, Path], vertex: VertexStandIn
) -> None:
    client = connect(v1.JobServiceClient, "us-central1", vertex.url)
    kinds = set()
    for path in specs.values():
        for job in launched(read(path)):
            kinds.add(type(job))
            assert lacking(job, KEY, LABELS, "job") == []
            spec = job.job_spec if isinstance(job, v1.CustomJob) else job.trial_job_spec
            assert spec.psc_interface_config.network_attachment == ATTACHMENT
            assert spec.psc_interface_config.dns_peering_configs[0].target_network == "shared"
            assert spec.service_account == SETTINGS["service_account"]
            assert (spec.tensorboard, spec.scheduling.strategy.name) == (TENSORBOARD, "FLEX_START")
            assert spec.scheduling.max_wait_duration.total_seconds() == 3600
            # The service takes it.
            if isinstance(job, v1.CustomJob):
                client.create_custom_job(parent=PARENT, custom_job=job)
            else:
                client.create_hyperparameter_tuning_job(parent=PARENT, hyperparameter_tuning_job=job)
    assert kinds == set(MESSAGES.values())


def test_a_retraining_knows_the_run_that_starts_it_and_monitoring_has_a_folder_for_its_state(
    specs: dict[str, Path],
) -> None:
    spec = read(specs["monitoring"])
    (retrain,) = (task for task, _ in tasks(spec) if task["componentRef"]["name"] == "comp-retrain")
    assert retrain["inputs"]["parameters"]["run"] == {"runtimeValue": {"constant": RUN}}
    default = spec["root"]["inputDefinitions"]["parameters"]["monitoring"]["defaultValue"]
    assert default == {"state": "gs://bucket/root/monitoring"}


def test_every_dataflow_job_of_the_compiled_specs_carries_key_and_labels(specs: dict[str, Path]) -> None:
    found = []
    for path in specs.values():
        for task, _ in tasks(read(path)):
            given = task.get("inputs", {}).get("parameters", {}).get("beam_options", {})
            flags = given.get("runtimeValue", {}).get("constant", "").split()
            if "--runner=DataflowRunner" in flags:
                found.append(task["taskInfo"]["name"])
                assert {f"--dataflow_kms_key={KEY}", "--labels=team=mt", "--labels=cost-center=42"} <= set(flags)
    # Training, tuning and release.
    assert found == ["tokenize"] * 3


def test_every_request_to_vertex_carries_key_and_labels(
    specs: dict[str, Path], vertex: VertexStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_types, "_GCS_LOCAL_MOUNT_PREFIX", f"{tmp_path}/")
    monkeypatch.setattr(back_end, "_bucket_address", lambda model: f"gs://{model.relative_to(tmp_path)}")
    running, spec = target(vertex), read(specs["training"])
    run = running.run(str(specs["training"]), {})
    running.save_schedule(Schedule("nightly", "0 3 * * *", template=str(specs["training"])))

    model = tmp_path / "bucket/root/run/model"
    model.mkdir(parents=True)
    description = {"schema_version": 1, "fingerprint": "f" * 64, "source_language": "en", "target_language": "de"}
    description |= {"corpus_fingerprint": "c", "created": "2026-01-01T00:00:00+00:00", "tensorflow": "2.21.0"}
    description["decoding"] = {"beam_size": 1, "length_penalty": 0.0, "max_input_length": 9, "max_output_length": 9}
    (model / "model.json").write_text(json.dumps(description))
    file = decide(tmp_path / "bucket/root/run/decision", model) / "decision.json"
    file.write_text(file.read_text().replace('"model"', f'"{"f" * 64}"'))
    (task,) = (task for task, _ in tasks(spec) if task["componentRef"]["name"] == "comp-deploy")
    cloud = task["inputs"]["parameters"]["cloud"]["runtimeValue"]["constant"]
    options = {"image": "serve@sha256:1"}
    executed(spec, tmp_path, endpoint=ENDPOINT, options=options, api_endpoint=vertex.url, cloud=cloud)

    given = spec["root"]["dag"]["tasks"]["experiment"]["inputs"]["parameters"]
    values = {name: one["runtimeValue"]["constant"] for name, one in given.items()}
    assert values.pop("run") == RUN
    assert enter(**{**values, "run": f"{PARENT}/pipelineJobs/{run.id}", "api_endpoint": vertex.url})

    made = {name for name, _ in vertex.calls if name.startswith(("Create", "Upload"))}
    assert made == {"CreatePipelineJob", "CreateSchedule", "UploadModel", "CreateEndpoint", "CreateContext"}
    assert [one for name, request in vertex.calls if name in made for one in lacking(request, KEY, LABELS)] == []
    for request in vertex.called("CreatePipelineJob"):
        assert request.pipeline_job.psc_interface_config.network_attachment == ATTACHMENT


def test_a_schedule_with_another_network_attachment_is_another_one(
    specs: dict[str, Path], vertex: VertexStandIn
) -> None:
    other = ATTACHMENT.replace("networkAttachments/vertex", "networkAttachments/other")
    wanted = Schedule("nightly", "0 3 * * *", template=str(specs["batch"]))
    first = target(vertex)
    first.save_schedule(dataclasses.replace(wanted, settings=first.run_settings()))
    (found,) = first.schedules()
    assert found.settings == first.run_settings()
    assert found.settings != target(vertex, network_attachment=other).run_settings()


@pytest.mark.parametrize("missing", ["--dataflow_kms_key", "--labels=team"])
def test_a_run_whose_own_dataflow_job_would_lack_the_key_or_a_label_is_refused(missing: str) -> None:
    settings = target().settings
    flags = ["--runner=DataflowRunner", f"--dataflow_kms_key={KEY}", *(f"--labels={k}={v}" for k, v in LABELS.items())]
    spec = {"pipelineInfo": {"name": "seqline-batch"}}
    assert pipeline_job(spec, {"beam_options": " ".join(flags)}, settings)
    assert pipeline_job(spec, {"beam_options": "--runner=DirectRunner"}, settings)
    for broken in ("--runner", "--runner='DataflowRunner"):  # the run's first task refuses them
        assert pipeline_job(spec, {"beam_options": broken}, settings)
    spelled = f"--runner DataflowRunner --dataflow_kms_key {KEY} --labels='{json.dumps(LABELS)}'"
    assert pipeline_job(spec, {"beam_options": spelled}, settings)
    with pytest.raises(UserError, match=f"starts a Dataflow job without {missing}"):
        pipeline_job(spec, {"beam_options": " ".join(f for f in flags if not f.startswith(missing))}, settings)


def test_a_reservation_reaches_the_machines_of_training_and_tuning(vertex: VertexStandIn) -> None:
    name = "projects/a-project/zones/us-central1-a/reservations/gpus"
    training = {"machine_type": "g2-standard-8", "accelerator_type": "NVIDIA_L4", "reservation": name}
    job = TrainingJob.model_validate(training)
    (pool,) = worker_pools(job, {"image_uri": "i"})
    affinity = pool["machine_spec"]["reservation_affinity"]
    assert (affinity["reservation_affinity_type"], affinity["values"]) == ("SPECIFIC_RESERVATION", [name])
    assert trial_worker(job, Images())["machine_spec"]["reservation_affinity"] == affinity
    custom = v1.CustomJob(display_name="train", job_spec={"worker_pool_specs": [pool]})
    connect(v1.JobServiceClient, "us-central1", vertex.url).create_custom_job(parent=PARENT, custom_job=custom)
