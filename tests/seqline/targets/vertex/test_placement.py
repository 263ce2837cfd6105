"""The compiled Vertex spec: google-cloud-pipeline-components turns it into a real custom job."""

import functools
import json
import re
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from google.auth.credentials import AnonymousCredentials
from google.cloud.aiplatform_v1 import JobServiceClient
from google.cloud.aiplatform_v1.types import CustomJob
from google.protobuf import json_format
from google_cloud_pipeline_components.container.v1.custom_job import remote_runner
from google_cloud_pipeline_components.container.v1.gcp_launcher.utils import json_util
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from seqline.compiling.compiler import compile_pipeline
from seqline.components.train.component import train
from seqline.components.train.preflight.component import preflight
from seqline.configuration import Configuration
from seqline.configuration.vertex import VertexTarget
from seqline.errors import UserError
from seqline.targets.vertex import Vertex
from seqline.targets.vertex.placement import place
from tests.stand_ins.vertex import PROJECT, VertexStandIn

VERTEX = {"project": "a-project", "location": "us-central1", "pipeline_root": "gs://bucket/root"}
VERSION = train.component_spec.implementation.container.image.rpartition(":")[2]
PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['(\w+)'\]\}\}")


@functools.cache
def portable(pipeline: str = "training") -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        text = compile_pipeline(pipeline, Path(folder) / "spec.yaml").read_text()
    return dict(yaml.safe_load(text))


def compiled(pipeline: str = "training", **settings: Any) -> dict[str, Any]:
    placed = place(portable(pipeline), VertexTarget.model_validate({**VERTEX, **settings}))
    json_format.ParseDict(placed, PipelineSpec())
    return placed


def launched(spec: dict[str, Any]) -> CustomJob:
    """The launcher's request, by its own code: placeholders filled as Vertex does, cleaned, parsed."""
    component = spec["components"]["comp-train"]
    arguments = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]["args"]
    template = arguments[arguments.index("--payload") + 1]
    parameters = component["inputDefinitions"]["parameters"]

    def fill(match: re.Match[str]) -> str:
        value = parameters[match[1]].get("defaultValue", "")
        text = value if isinstance(value, str) else json.dumps(value)
        return "" if text.startswith("{{$.pipeline_persistent") else text

    payload = json_util.recursive_remove_empty(json.loads(PARAMETER.sub(fill, template), strict=False))
    client = SimpleNamespace(create_custom_job=lambda parent, custom_job: custom_job)
    payload = remote_runner.create_custom_job_with_client(client, "", payload)
    job = CustomJob()
    json_format.ParseDict(payload, CustomJob.pb(job), ignore_unknown_fields=False)
    return job


@pytest.mark.parametrize(
    ("tpu", "machine"),
    [
        ({"version": "v2"}, ("cloud-tpu", "TPU_V2", 8, "")),
        ({"version": "v3"}, ("cloud-tpu", "TPU_V3", 8, "")),
        ({"version": "v5e", "topology": "1x1"}, ("ct5lp-hightpu-1t", "ACCELERATOR_TYPE_UNSPECIFIED", 0, "1x1")),
        ({"version": "v5e", "topology": "2x4"}, ("ct5lp-hightpu-8t", "ACCELERATOR_TYPE_UNSPECIFIED", 0, "2x4")),
        ({"version": "v5e", "topology": "2x2"}, ("ct5lp-hightpu-4t", "ACCELERATOR_TYPE_UNSPECIFIED", 0, "2x2")),
    ],
)
def test_a_tpu_slice_arrives_at_the_custom_job(tpu: dict[str, str], machine: tuple[Any, ...]) -> None:
    training = {"tpu": tpu, "spot": True, "timeout": 7200, "environment": {"COLOUR": "green"}}
    job = launched(compiled(training=training, service_account="runs@a.iam.gserviceaccount.com"))
    (pool,) = job.job_spec.worker_pool_specs
    spec = pool.machine_spec
    found = (spec.machine_type, spec.accelerator_type.name, spec.accelerator_count, spec.tpu_topology)
    assert found == machine
    assert job.job_spec.scheduling.timeout.total_seconds() == 7200
    assert job.job_spec.scheduling.strategy.name == "SPOT"
    assert job.job_spec.scheduling.restart_job_on_worker_restart
    assert job.job_spec.service_account == "runs@a.iam.gserviceaccount.com"
    environment = {variable.name: variable.value for variable in pool.container_spec.env}
    assert environment["COLOUR"] == "green"
    assert (environment.get("PJRT_DEVICE") == "TPU") == (tpu["version"] == "v5e")
    assert pool.container_spec.image_uri.startswith("seqline/train-tpu:")


def test_a_chief_and_workers_with_gpus() -> None:
    training = {"machine_type": "n1-standard-16", "accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 2}
    job = launched(compiled(training={**training, "replicas": 4}))
    chief, workers = job.job_spec.worker_pool_specs
    assert (chief.replica_count, workers.replica_count) == (1, 3)
    assert {pool.machine_spec.accelerator_type.name for pool in (chief, workers)} == {"NVIDIA_TESLA_T4"}
    assert {pool.container_spec.image_uri for pool in (chief, workers)} == {f"seqline/train-gpu:{VERSION}"}
    assert job.job_spec.scheduling.timeout.total_seconds() == 86400
    assert job.job_spec.scheduling.strategy.name == "STANDARD"


@pytest.mark.parametrize(
    ("machine", "gpu", "disk"),
    [
        ("g2-standard-8", "NVIDIA_L4", "pd-ssd"),
        ("a3-highgpu-8g", "NVIDIA_H100_80GB", "pd-ssd"),
        ("a3-ultragpu-8g", "NVIDIA_H200_141GB", ""),
        ("a4-highgpu-8g", "NVIDIA_B200", ""),
    ],
)
def test_machines_that_boot_from_hyperdisk_get_no_other_disk(machine: str, gpu: str, disk: str) -> None:
    job = launched(compiled(training={"machine_type": machine, "accelerator_type": gpu, "boot_disk_gb": 200}))
    (pool,) = job.job_spec.worker_pool_specs
    assert (pool.disk_spec.boot_disk_type, pool.disk_spec.boot_disk_size_gb) == (disk, 200)


def test_the_api_accepts_the_launchers_request(vertex: VertexStandIn) -> None:
    options = {"api_endpoint": vertex.url}
    client = JobServiceClient(transport="rest", credentials=AnonymousCredentials(), client_options=options)
    parent = f"projects/{PROJECT}/locations/us-central1"
    job = launched(compiled(training={"tpu": {"version": "v5e", "topology": "2x4"}}, labels={"team": "mt"}))
    name = client.create_custom_job(parent=parent, custom_job=job).name
    (pool,) = client.get_custom_job(name=name).job_spec.worker_pool_specs
    assert pool.machine_spec.tpu_topology == "2x4"


def test_the_custom_job_has_the_inputs_and_outputs_of_train() -> None:
    before, after = portable()["components"], compiled(training={})["components"]
    for part in ("inputDefinitions", "outputDefinitions"):
        for kind, definitions in before["comp-train"].get(part, {}).items():
            assert definitions.items() <= after["comp-train"][part][kind].items()
    assert [name for name in before if before[name] != after[name]] == ["comp-deploy", "comp-train"]


def test_without_settings_the_portable_spec_stays_byte_for_byte(tmp_path: Path) -> None:
    configuration = Configuration.model_validate({"targets": {"vertex": VERTEX}})
    placed = Vertex(configuration).compile("training", tmp_path / "vertex.yaml")
    plain = compile_pipeline("training", tmp_path / "portable.yaml", configuration)
    assert placed.read_bytes() == plain.read_bytes()


def test_the_compiled_file_holds_the_placement_and_the_pinned_image(tmp_path: Path) -> None:
    pin = f"sha256:{'a' * 64}"
    configuration = Configuration.model_validate(
        {
            "images": {"repository": "europe-docker.pkg.dev/p/r", "digests": {"train-tpu": pin}},
            "targets": {"vertex": {**VERTEX, "training": {"tpu": {"version": "v5e"}}}},
        }
    )
    path = Vertex(configuration).compile("training", tmp_path / "spec.yaml")
    assert path.read_text().startswith("# PIPELINE DEFINITION\n# Name: seqline-training\n")
    (pool,) = launched(yaml.safe_load(path.read_text())).job_spec.worker_pool_specs
    assert pool.container_spec.image_uri == f"europe-docker.pkg.dev/p/r/train-tpu@{pin}"
    assert pool.machine_spec.tpu_topology == "2x2"


def test_deploys_outputs_have_the_types_of_vertexs_lineage() -> None:
    from google_cloud_pipeline_components.types.artifact_types import VertexEndpoint, VertexModel

    outputs = compiled(training={})["components"]["comp-deploy"]["outputDefinitions"]["artifacts"]
    assert outputs["vertex_model"]["artifactType"]["schemaTitle"] == VertexModel.schema_title
    assert outputs["vertex_endpoint"]["artifactType"]["schemaTitle"] == VertexEndpoint.schema_title


def test_tokenize_goes_to_dataflow_in_its_own_image() -> None:
    spec = compiled(dataflow={"max_workers": 7, "public_ips": False}, labels={"team": "mt"})
    tasks = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    flags = tasks["tokenize"]["inputs"]["parameters"]["beam_options"]["runtimeValue"]["constant"].split()
    assert {"--runner=DataflowRunner", "--max_num_workers=7", "--no_use_public_ips", "--labels=team=mt"} <= set(flags)
    assert any(flag.startswith("--sdk_container_image=seqline/tokenize:") for flag in flags)
    assert "--project={{$.pipeline_google_cloud_project_id}}" in flags


@pytest.mark.parametrize("pipeline", ["training", "batch", "tuning"])
def test_an_email_has_the_final_state_of_the_run(pipeline: str) -> None:
    spec = compiled(pipeline, notify=["team@example.org"])
    assert set(spec["root"]["dag"]["tasks"]) == {"exit-handler-1", "notify", "summarize"}
    task, summary = (spec["root"]["dag"]["tasks"][name] for name in ("notify", "summarize"))
    assert task["triggerPolicy"] == summary["triggerPolicy"]
    assert task["inputs"]["parameters"]["recipients"]["runtimeValue"]["constant"] == ["team@example.org"]
    status = task["inputs"]["parameters"]["pipeline_task_final_status"]
    assert status == {"taskFinalStatus": {"producerTask": "exit-handler-1"}}


def test_the_form_starts_with_the_serving_image_and_the_address_of_the_api(tmp_path: Path) -> None:
    pin = f"sha256:{'b' * 64}"
    images = {"repository": "europe-docker.pkg.dev/p/r", "digests": {"serve": pin}}
    settings = {**VERTEX, "api_endpoint": "psc.example.org", "api_transport": "rest"}
    configuration = Configuration.model_validate({"images": images, "targets": {"vertex": settings}})
    spec = yaml.safe_load(Vertex(configuration).compile("training", tmp_path / "spec.yaml").read_text())
    known = spec["root"]["inputDefinitions"]["parameters"]
    assert known["serving"]["defaultValue"] == {"image": f"europe-docker.pkg.dev/p/r/serve@{pin}"}
    assert known["api_endpoint"]["defaultValue"] == "https://psc.example.org"


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"tpu": {"version": "v5e", "topology": "3x3"}}, "no v5e slice is 3x3; training uses one host: write 1x1, 2x2"),
        (
            {"tpu": {"version": "v5e", "topology": "4x4"}},
            "4x4 has several hosts; training uses one host: write 1x1, 2x2",
        ),
        ({"tpu": {"version": "v5e", "topology": "16x16"}}, "a v5e slice 16x16 has several hosts"),
        (
            {"tpu": {"version": "v3", "topology": "4x4"}},
            "a v3 slice 4x4 has several hosts, and training uses one: leave",
        ),
        ({"accelerator_type": "NVIDIA_T4000", "tpu": {"version": "v2"}}, "tpu or accelerator_type, not both"),
        (
            {"accelerator_type": "TPU_V3"},
            "training.accelerator_type: TPU_V3 is a TPU; write tpu: {version: v3} instead",
        ),
        ({"accelerator_type": "AMD_MI300"}, "training.accelerator_type: no image has libraries for 'AMD_MI300'"),
        ({"accelerator_count": 2}, "accelerator_count is 2, but accelerator_type is empty"),
        ({"machine_type": "g2-standard-8"}, "g2-standard-8 has GPUs, which must be named: set accelerator_type"),
        ({"accelerator_type": "NVIDIA_L4"}, "machine_type: n1-standard-8 has no NVIDIA_L4; choose one that begins"),
        (
            {"machine_type": "a2-highgpu-8g", "accelerator_type": "NVIDIA_TESLA_A100", "accelerator_count": 4},
            "accelerator_count: a2-highgpu-8g has 8 NVIDIA_TESLA_A100, not 4",
        ),
        ({"tpu": {"version": "v2"}, "accelerator_type": "NVIDIA_L4"}, "tpu or accelerator_type, not both"),
        ({"tpu": {"version": "v2"}, "replicas": 2}, "omit replicas"),
        ({"environment": {"EMPTY": ""}}, "EMPTY has no value"),
    ],
)
def test_an_impossible_placement_is_rejected(training: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        compiled(training=training)


def test_training_on_a_tpu_waits_for_the_preflight_of_its_own_slice() -> None:
    spec = compiled(training={"tpu": {"version": "v5e", "topology": "2x4"}})
    tasks = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    training, added = tasks["train"], tasks["preflight"]
    assert set(training["dependentTasks"]) == {"snapshot", "tokenize", "preflight"}
    assert set(added["dependentTasks"]) == {"snapshot", "tokenize"}
    assert added["cachingOptions"] == {"enableCache": True}
    assert added["inputs"]["artifacts"] == training["inputs"]["artifacts"]
    parameters = added["inputs"]["parameters"]
    assert parameters.pop("tpu") == {"runtimeValue": {"constant": "v5e:2x4"}}
    # All of training's options: each may change the compiled program.
    assert parameters == {name: training["inputs"]["parameters"][name] for name in ("options", "warm_start")}
    container = spec["deploymentSpec"]["executors"]["exec-preflight"]["container"]
    assert "accelerator" not in container["resources"]


def test_preflight_has_the_inputs_of_train_by_the_same_names() -> None:
    inputs, train_inputs = preflight.component_spec.inputs or {}, train.component_spec.inputs or {}
    assert set(inputs) - {"tpu"} <= set(train_inputs)
    assert inputs["options"].default == train_inputs["options"].default


def test_a_task_with_a_tpu_is_preceded_by_preflight_too_and_others_are_not(tmp_path: Path) -> None:
    settings = {
        "targets": {"vertex": VERTEX},
        "resources": {"train": {"accelerator_type": "TPU_V3", "accelerator_count": 8}},
    }
    path = Vertex(Configuration.model_validate(settings)).compile("training", tmp_path / "spec.yaml")
    spec = yaml.safe_load(path.read_text())
    added = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]["preflight"]
    assert added["inputs"]["parameters"]["tpu"] == {"runtimeValue": {"constant": "v3:2x2"}}
    assert (
        "comp-preflight"
        not in compiled(training={"machine_type": "g2-standard-8", "accelerator_type": "NVIDIA_L4"})["components"]
    )


@pytest.mark.parametrize("accelerator", ["TPU_V5_LITEPOD", "google.com/tpu"])
def test_a_task_has_a_tpu_that_tasks_on_vertex_can_have(accelerator: str, tmp_path: Path) -> None:
    settings = {
        "targets": {"vertex": VERTEX},
        "resources": {"train": {"accelerator_type": accelerator, "accelerator_count": 8}},
    }
    with pytest.raises(
        UserError, match=f"resources.train.accelerator_type: a task on Vertex has .*, not {accelerator}"
    ):
        Vertex(Configuration.model_validate(settings)).compile("training", tmp_path / "spec.yaml")


@pytest.mark.parametrize("stage", ["train", "tune"])
@pytest.mark.parametrize("count", [1, 16])
def test_a_task_has_the_cores_of_one_host(stage: str, count: int, tmp_path: Path) -> None:
    settings = {
        "targets": {"vertex": VERTEX},
        "resources": {stage: {"accelerator_type": "TPU_V3", "accelerator_count": count}},
    }
    with pytest.raises(
        UserError, match=f"resources.{stage}.accelerator_count is {count}, but .* has 8 cores: set it to 8"
    ):
        Vertex(Configuration.model_validate(settings)).compile("tuning", tmp_path / "spec.yaml")


def test_a_job_without_a_gpu_trains_in_the_image_for_cpus_whatever_a_task_would_have(tmp_path: Path) -> None:
    resources = {"train": {"accelerator_type": "nvidia.com/gpu"}, "evaluate": {"accelerator_type": "NVIDIA_L4"}}
    settings = {"targets": {"vertex": {**VERTEX, "training": {"replicas": 2}}}, "resources": resources}
    path = Vertex(Configuration.model_validate(settings)).compile("training", tmp_path / "spec.yaml")
    spec = yaml.safe_load(path.read_text())
    chief, workers = launched(spec).job_spec.worker_pool_specs
    assert {pool.container_spec.image_uri for pool in (chief, workers)} == {f"seqline/train:{VERSION}"}
    evaluate = spec["deploymentSpec"]["executors"]["exec-evaluate"]["container"]
    assert evaluate["image"] == f"seqline/train-gpu:{VERSION}"
