"""Tuning on Vertex AI: the job that google-cloud-pipeline-components builds, parsed as the real message."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from google.cloud.aiplatform_v1 import JobServiceClient
from google.cloud.aiplatform_v1.types import HyperparameterTuningJob
from google.protobuf import json_format

from seqline.artifacts.tuning import read_trials
from seqline.components.train.options import Options as Training
from seqline.components.tune.best_trial.stage import best_trial, read_job_name
from seqline.components.tune.options import Options
from seqline.components.tune.plan_trials.stage import plan_trials
from seqline.components.tune.vertex_job import METRICS
from seqline.configuration import Configuration
from seqline.errors import UserError
from seqline.targets.vertex.target import Vertex
from seqline.targets.vertex.worker_pools import trial_worker
from seqline.vertex_api.clients import connect
from tests.stand_ins.vertex import NUMBER, PROJECT, VertexStandIn

CONFIGURATION = {
    "images": {"repository": "here", "digests": {"train-gpu": f"sha256:{'1' * 64}"}},
    "targets": {
        "vertex": {
            "project": "my-project",
            "pipeline_root": "gs://bucket/root",
            "training": {"accelerator_type": "NVIDIA_TESLA_T4", "replicas": 3},
        }
    },
}
SPACE = {"learning_rate": {"min": 0.001, "max": 0.01, "scale": "log"}, "preset": {"values": ["tiny", "small"]}}
RESOURCE = f"projects/{NUMBER}/locations/us-central1/hyperparameterTuningJobs/42"
GCP_RESOURCES = json.dumps(
    {"resources": [{"resourceUri": f"https://us-central1-aiplatform.googleapis.com/v1/{RESOURCE}"}]}
)


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return Configuration.model_validate(CONFIGURATION)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory, configuration: Configuration) -> Any:
    path = Vertex(configuration).compile("tuning", tmp_path_factory.mktemp("spec") / "tuning.yaml")
    return yaml.safe_load(path.read_text())


def payload(spec: Any, configuration: Configuration) -> str:
    """The payload of the job's task, with the values of a run."""
    found = [one for one in spec["deploymentSpec"]["executors"].values() if "container" in one]
    [container] = [
        one["container"] for one in found if "hyperparameter_tuning_job" in " ".join(one["container"]["command"])
    ]
    arguments = container["args"]
    template = json.loads(arguments[arguments.index("--payload") + 1])["Concat"]
    assert configuration.targets.vertex is not None
    assert configuration.targets.vertex.training is not None
    worker = trial_worker(configuration.targets.vertex.training, configuration.images)
    plan = plan_trials("/gcs/bucket/corpus", worker, options=Options(space=SPACE))
    values = {
        "display_name": "run", "base_output_directory": "gs://bucket/trials", "max_trial_count": 20,
        "parallel_trial_count": 3, "max_failed_trial_count": 0, "worker_pool_specs": plan.worker_pool_specs,
        "study_spec_metrics": METRICS, "study_spec_parameters": plan.parameters,
        "study_spec_algorithm": "ALGORITHM_UNSPECIFIED", "study_spec_measurement_selection_type": "BEST_MEASUREMENT",
        "service_account": "", "network": "", "encryption_spec_key_name": "",
    }  # fmt: skip
    text = ""
    for part in template:
        name = part.removeprefix("{{$.inputs.parameters['").removesuffix("']}}")
        value = values[name] if name != part else part
        text += value if isinstance(value, str) else json.dumps(value)
    return text


def test_the_job_is_a_message_of_vertex_ai(spec: Any, configuration: Configuration) -> None:
    from google_cloud_pipeline_components.container.v1.gcp_launcher.utils.json_util import recursive_remove_empty

    job = HyperparameterTuningJob()
    json_format.ParseDict(recursive_remove_empty(json.loads(payload(spec, configuration))), job._pb)
    pool = job.trial_job_spec.worker_pool_specs[0]
    assert pool.machine_spec.machine_type == "n1-standard-8"
    assert (pool.machine_spec.accelerator_type.name, pool.replica_count) == ("NVIDIA_TESLA_T4", 1)
    assert pool.container_spec.image_uri == f"here/train-gpu@sha256:{'1' * 64}"
    assert pool.container_spec.command[:2] == ["sh", "-c"]
    assert "--corpus=/gcs/bucket/corpus" in pool.container_spec.args
    assert (job.max_trial_count, job.parallel_trial_count) == (20, 3)
    assert {one.parameter_id for one in job.study_spec.parameters} == set(SPACE)
    assert [one.metric_id for one in job.study_spec.metrics] == ["valid_loss"]


def test_train_has_the_options_of_the_best_trial(spec: Any) -> None:
    tasks = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    options = tasks["train"]["inputs"]["parameters"]["options"]["taskOutputParameter"]
    assert options == {"outputParameterKey": "training", "producerTask": "tune"}
    inner = spec["components"][tasks["tune"]["componentRef"]["name"]]["dag"]
    assert set(inner["tasks"]) == {"plan-trials", "hyperparameter-tuning-job", "best-trial"}


def test_the_launcher_starts_the_job_once_and_its_trials_are_written_as_on_a_laptop(
    spec: Any, configuration: Configuration, vertex: VertexStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """google-cloud-pipeline-components' own program, with Google's own client, over a connection."""
    from google_cloud_pipeline_components.container.v1.gcp_launcher import job_remote_runner
    from google_cloud_pipeline_components.container.v1.hyperparameter_tuning_job import launcher

    def client(client_options: Any, client_info: Any) -> JobServiceClient:
        return cast("JobServiceClient", connect(JobServiceClient, "us-central1", vertex.url))

    monkeypatch.setattr(job_remote_runner.aiplatform.gapic, "JobServiceClient", client)
    monkeypatch.setattr(job_remote_runner, "_POLLING_INTERVAL_IN_SECONDS", 0)
    vertex.jobs.objective = lambda values: abs(values["learning_rate"].number_value - 0.004)
    resources = tmp_path / "gcp_resources"
    arguments = [
        "--type=HyperparameterTuningJob", f"--project={PROJECT}", "--location=us-central1",
        f"--gcp_resources={resources}", f"--payload={payload(spec, configuration)}",
    ]  # fmt: skip
    for _ in range(2):
        # Again, as after a preemption: it finds its job.
        launcher.main(arguments)
    assert len(vertex.jobs.tuning.items) == 1
    best, loss = best_trial(
        resources.read_text(), tmp_path / "tuning", tmp_path / "report.html", Options(space=SPACE),
        api_endpoint=vertex.url,
    )  # fmt: skip
    trials = read_trials(tmp_path / "tuning")
    assert len(trials) == 20
    assert loss == min(trial.value for trial in trials if trial.value is not None)
    assert best.learning_rate == pytest.approx(0.004, abs=0.0005)
    assert best.preset in {"tiny", "small"}
    assert best.warmup_steps == Training(preset="tiny").warmup_steps


def test_a_trial_that_failed_is_not_the_best(vertex: VertexStandIn, tmp_path: Path) -> None:
    def trial(number: int, state: str, loss: float) -> dict[str, Any]:
        return {
            "id": str(number), "state": state,
            "parameters": [{"parameterId": "learning_rate", "value": 0.003 + number / 1000}],
            "finalMeasurement": {"stepCount": "2", "metrics": [{"metricId": "valid_loss", "value": loss}]},
            "measurements": [{"stepCount": "1", "metrics": [{"metricId": "valid_loss", "value": loss + 1}]}],
        }  # fmt: skip

    job = HyperparameterTuningJob(state="JOB_STATE_SUCCEEDED", name=RESOURCE)
    trials = [trial(1, "SUCCEEDED", 2.5), trial(2, "SUCCEEDED", 2.0), trial(3, "INFEASIBLE", 1.0)]
    json_format.ParseDict({"trials": trials}, job._pb)
    vertex.jobs.tuning.items[RESOURCE] = job
    options = Options(space={"learning_rate": SPACE["learning_rate"]})
    best, loss = best_trial(
        GCP_RESOURCES, tmp_path / "tuning", tmp_path / "report.html", options, api_endpoint=vertex.url
    )
    assert (best, loss) == (Training(preset="tiny", learning_rate=0.005), 2.0)
    assert [one.state for one in read_trials(tmp_path / "tuning")] == ["succeeded", "succeeded", "failed"]


def test_a_job_is_found_in_the_output_of_its_task() -> None:
    assert read_job_name(GCP_RESOURCES) == (RESOURCE, "us-central1")
    with pytest.raises(UserError, match="does not name a hyperparameter tuning job"):
        read_job_name('{"resources": []}')
