"""Starting a run: the real clients against stand-ins of Vertex AI and Kubeflow, and a laptop's process."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud.aiplatform_v1 import types
from kfp import compiler, dsl

from seqline.artifacts.monitoring import MONITORING, WINDOW, Monitoring, RuleState, Window
from seqline.artifacts.retraining import Attempt, Retraining
from seqline.components.retrain import laptop
from seqline.components.retrain.kubeflow import Kubeflow
from seqline.components.retrain.laptop import Laptop, arguments, home_of
from seqline.components.retrain.options import Options
from seqline.components.retrain.stage import retrain
from seqline.components.retrain.vertex import Vertex
from seqline.errors import UserError
from tests.stand_ins.kfp_server import KfpServer
from tests.stand_ins.vertex import PROJECT, VertexStandIn

PARENT = f"projects/{PROJECT}/locations/us-central1"
TEMPLATE = "https://us-central1-kfp.pkg.dev/p/pipelines/seqline-training/sha256:" + "a" * 64
ATTEMPT = Attempt(3, "2026-11-02T00:00:00+00:00", "seqline-retraining-abc-3", "2026-11-02T00:07:00+00:00", "It is 0.4.")
FAULTS = [None, "lost answer", "503"]


@dsl.component(base_image="seqline/first:9", install_kfp_package=False)
def first() -> None: ...


@dsl.pipeline(name="seqline-training")
def training(data: str = "", endpoint: str = "", epochs: int = 3, reason: str = "") -> None:
    """One task."""
    first()


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "training.yaml"
    compiler.Compiler().compile(training, str(path))
    return path


@pytest.fixture
def monitoring(vertex: VertexStandIn, spec: Path) -> str:
    """A run of monitoring on Vertex AI, with settings of its own."""
    content = yaml.safe_load(spec.read_text())
    vertex.pipelines.templates[TEMPLATE] = content
    job = types.PipelineJob(
        pipeline_spec=content,
        runtime_config=types.PipelineJob.RuntimeConfig(gcs_output_directory="gs://bucket/root"),
        service_account="runs@p.iam.gserviceaccount.com",
        network="projects/1/global/networks/n",
        labels={"team": "mt"},
        encryption_spec=types.EncryptionSpec(kms_key_name="projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"),
    )
    request = types.CreatePipelineJobRequest(parent=PARENT, pipeline_job=job, pipeline_job_id="monitoring-1")
    return str(vertex.pipelines.create_pipeline_job(request).name)


@pytest.mark.parametrize("fault", FAULTS)
def test_vertex_starts_the_template_once_with_the_settings_of_monitoring(
    vertex: VertexStandIn, monitoring: str, fault: Any
) -> None:
    if fault:
        vertex.faults.add("CreatePipelineJob", fault)
    options = Options(template=TEMPLATE, parameters={"data": "gs://b/pairs.tsv", "epochs": 5})
    starter = Vertex(monitoring, vertex.url, sleep=lambda _: None)
    for _ in range(2):
        assert starter.start(ATTEMPT, options) == ATTEMPT
    jobs = vertex.pipelines.resources.items
    assert sorted(name.rpartition("/")[2] for name in jobs) == ["monitoring-1", ATTEMPT.run]
    own = jobs[monitoring]
    made = jobs[monitoring.replace("monitoring-1", ATTEMPT.run)]
    assert made.template_uri == TEMPLATE
    assert dict(made.runtime_config.parameter_values) == {
        "data": "gs://b/pairs.tsv",
        "epochs": 5,
        "reason": "It is 0.4.",
    }
    for name in ("service_account", "network", "encryption_spec"):
        assert getattr(made, name) == getattr(own, name)
    assert made.runtime_config.gcs_output_directory == "gs://bucket/root"
    assert dict(made.labels) == {"team": "mt", "seqline-retraining": "3"}
    page = f"https://console.cloud.google.com/vertex-ai/locations/us-central1/pipelines/runs/{ATTEMPT.run}"
    assert starter.where(ATTEMPT) == f": {page}?project={monitoring.split('/')[1]}"


def test_vertex_knows_whether_a_retraining_still_runs(vertex: VertexStandIn, monitoring: str) -> None:
    starter = Vertex(monitoring, vertex.url, sleep=lambda _: None)
    assert not starter.runs(ATTEMPT)
    starter.start(ATTEMPT, Options(template=TEMPLATE))
    assert starter.runs(ATTEMPT)
    while starter.runs(ATTEMPT):
        pass


def test_what_vertex_refuses_is_said(vertex: VertexStandIn, monitoring: str) -> None:
    starter = Vertex(monitoring, vertex.url, sleep=lambda _: None)
    with pytest.raises(
        UserError, match=f"^cannot start the run {ATTEMPT.run}: Invalid pipeline_spec: there are no tasks"
    ):
        starter.start(ATTEMPT, Options(template=TEMPLATE.replace("a" * 64, "b" * 64)))


@pytest.fixture
def server() -> Iterator[KfpServer]:
    with KfpServer.running() as running:
        yield running


@pytest.mark.parametrize("fault", FAULTS)
def test_kubeflow_starts_the_version_once(server: KfpServer, spec: Path, fault: Any) -> None:
    starter = Kubeflow(server.url, sleep=lambda _: None)
    uploaded = starter.client.upload_pipeline(str(spec), "seqline-training")
    (version,) = server.versions
    options = Options(template=f"kfp://{uploaded.pipeline_id}/{version}", parameters={"epochs": 5})
    assert not starter.runs(ATTEMPT)
    if fault:
        server.faults.add("POST runs", fault)
    made = starter.start(ATTEMPT, options)
    assert starter.start(made, options) == made
    assert starter.start(ATTEMPT, options) == made
    (run,) = server.runs.values()
    assert (run["display_name"], run["run_id"]) == (ATTEMPT.run, made.id)
    assert starter.where(made) == f"; its id is {run['run_id']}"
    assert run["runtime_config"]["parameters"] == {"epochs": 5, "reason": "It is 0.4."}
    while starter.runs(made):
        pass


def test_what_kubeflow_refuses_is_said(server: KfpServer, spec: Path) -> None:
    starter = Kubeflow(server.url, sleep=lambda _: None)
    uploaded = starter.client.upload_pipeline(str(spec), "seqline-training")
    (version,) = server.versions
    options = Options(template=f"kfp://{uploaded.pipeline_id}/{version}", parameters={"epoch": 5})
    with pytest.raises(UserError, match=f"^cannot start the run {ATTEMPT.run}: Kubeflow Pipelines returned: .*epoch"):
        starter.start(ATTEMPT, options)


def test_of_two_runs_of_monitoring_within_a_second_one_starts_a_run_on_kubeflow(
    server: KfpServer, spec: Path, tmp_path: Path
) -> None:
    """Kubeflow takes several runs of one name: the second one comes after the first has looked for the name."""
    window = Window("demo", "2026-11-01T00:00:00+00:00", ATTEMPT.window, 24, "1", "f", "", "", str(tmp_path), 1)
    alarm = RuleState("rule", "key", "", 20.0, 9.0, 0.4, 0.2, ATTEMPT.window, new=True, then="retrain", reason="It.")
    for name, record in (("window", window), ("monitored", Monitoring(window, rules=[alarm]))):
        (tmp_path / name).mkdir()
        record.write(tmp_path / name / (WINDOW if record is window else MONITORING))
    (tmp_path / "pairs.tsv").write_text("a\tb\n" * 200)
    first = Kubeflow(server.url, sleep=lambda _: None)
    uploaded = first.client.upload_pipeline(str(spec), "seqline-training")
    (version,) = server.versions
    options = Options(
        template=f"kfp://{uploaded.pipeline_id}/{version}", parameters={"data": str(tmp_path / "pairs.tsv")}
    )

    def run(owner: str, starter: Kubeflow) -> Retraining:
        paths = tmp_path / "window", tmp_path / "monitored", tmp_path / owner
        return retrain(*paths, address=f"s3://b/{owner}", options=options, now=ATTEMPT.at, starter=starter)

    looked: list[Any] = []
    look = first._find

    def find(attempt: Attempt) -> Any:
        found = look(attempt)
        if not looked:
            looked.append(run("second", Kubeflow(server.url, sleep=lambda _: None)))
        return found

    first._find = find  # type: ignore[method-assign]
    made = run("first", first)
    (started,) = server.runs.values()
    assert (started["display_name"], made.started) == (made.run, True)
    assert looked[0].outcome == f"Another run of monitoring is starting the run {made.run} for this window."


def test_a_laptop_starts_seqline_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "written"
    monkeypatch.setenv("_KFP_RUNTIME", "true")
    code = "import os, sys; open(sys.argv[1], 'a').write(os.environ.get('_KFP_RUNTIME', 'unset') + '\\n')"
    monkeypatch.setattr(laptop, "command", lambda *_: [sys.executable, "-c", code, str(written)])
    home = tmp_path / ".seqline"
    home.mkdir()
    starter = Laptop(home)
    assert not starter.runs(ATTEMPT)
    for _ in range(3):
        assert starter.start(ATTEMPT, Options()) == ATTEMPT
    while starter.runs(ATTEMPT):
        pass
    assert written.read_text() == "unset\n"
    log = home / "retrainings" / f"{ATTEMPT.run}.log"
    assert log.is_file()
    assert starter.where(ATTEMPT) == f"; its output is in {log}"


def test_the_command_line_of_a_laptop_s_run_is_one_that_seqline_reads(tmp_path: Path) -> None:
    from seqline.cli.options import read_configuration
    from seqline.configuration.parameters import Parameters

    options = Options(parameters={"data": "/tmp/pairs.tsv", "training": {"epochs": 2}})
    found = arguments(ATTEMPT, options, tmp_path)
    assert found[:6] == ["run", "--target", "laptop", "--home", str(tmp_path), "--pipeline"]
    settings = [found[place + 1] for place, word in enumerate(found) if word == "--set"]
    known = Parameters("seqline-training", {"data": "STRING", "reason": "STRING", "training": "STRUCT"})
    read = read_configuration(None, settings).arguments(known, "laptop")
    assert read == {"data": "/tmp/pairs.tsv", "reason": "It is 0.4.", "training": {"epochs": 2}}


def test_the_home_of_a_laptop_is_that_of_the_run_of_monitoring() -> None:
    assert home_of("", "/home/me/.seqline/runs/one/retrain/retraining") == Path("/home/me/.seqline")
    assert home_of("/elsewhere", "/home/me/x") == Path("/elsewhere")
