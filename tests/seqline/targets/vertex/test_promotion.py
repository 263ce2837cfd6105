"""`seqline promote`: template and images of a tested version go to another project by digest."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.cli import main
from seqline.configuration import Configuration
from seqline.errors import UserError
from seqline.targets.vertex import Vertex
from seqline.targets.vertex.promotion import find_tested, prepare, values
from tests.stand_ins.docker_registry import DockerRegistry
from tests.stand_ins.registry import RegistryStandIn
from tests.stand_ins.vertex import PROJECT, VertexStandIn

IMAGES = ("tokenize", "infer", "evaluate")


@dataclass
class Projects:
    """Two projects, with their configurations as files."""

    vertex: VertexStandIn
    images: DockerRegistry
    dev: RegistryStandIn
    prod: RegistryStandIn
    folder: Path
    digests: dict[str, str]

    def write(self, name: str, **changes: Any) -> Path:
        """Writes the configuration of a project; its path."""
        registry = {"dev": self.dev, "prod": self.prod}[name]
        vertex = {
            "project": PROJECT if name == "dev" else "prod-project",
            "location": "us-central1",
            "pipeline_root": f"gs://{name}-bucket/root",
            "repository": registry.url,
            "api_endpoint": self.vertex.url,
            "service_account": f"runs@{name}.iam.gserviceaccount.com",
            **changes.pop("vertex", {}),
        }
        content = {
            "target": "vertex",
            "pipeline": "batch",
            "images": {"repository": f"{self.images.host}/{name}", "digests": self.digests},
            "parameters": {"data": f"gs://{name}-bucket/x.txt", "model": f"gs://{name}-bucket/model"},
            "targets": {"vertex": vertex},
            **changes,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(content))
        return path

    def open(self, name: str) -> Vertex:
        content = json.loads((self.folder / f"{name}.yaml").read_text())
        return Vertex(Configuration.model_validate(content), sleep=lambda seconds: None)

    def test(self, state: str = "PIPELINE_STATE_SUCCEEDED") -> str:
        """Uploads the pipeline in dev and runs it; the version's reference."""
        dev = self.open("dev")
        reference = dev.upload(dev.compile("batch", self.folder / "batch.yaml"), ["live"]).reference
        content = yaml.safe_load(dev.templates.fetch(reference))
        from google.cloud.aiplatform_v1 import types

        job = types.PipelineJob(
            pipeline_spec=content,
            template_uri=reference,
            runtime_config=types.PipelineJob.RuntimeConfig(gcs_output_directory="gs://dev-bucket/root"),
        )
        request = types.CreatePipelineJobRequest(parent=dev.connection.parent, pipeline_job=job)
        self.vertex.pipelines.create_pipeline_job(request).state = types.PipelineState[state]
        return reference


@pytest.fixture
def projects(vertex: VertexStandIn, tmp_path: Path) -> Iterator[Projects]:
    with DockerRegistry.running() as images, RegistryStandIn.running() as dev, RegistryStandIn.running() as prod:
        digests = {name: images.put_image(f"dev/{name}", name.encode()).partition("@")[2] for name in IMAGES}
        made = Projects(vertex, images, dev, prod, tmp_path, digests)
        made.write("dev")
        made.write("prod")
        yield made


def promote(projects: Projects, *words: str) -> int:
    return main(
        ["promote", "--from", str(projects.folder / "dev.yaml"), "--to", str(projects.folder / "prod.yaml"), *words]
    )


def test_the_tested_version_goes_to_the_other_project(projects: Projects, capsys: pytest.CaptureFixture[str]) -> None:
    reference = projects.test()
    assert promote(projects, "--tag", "live", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    (version,) = projects.prod.versions["seqline-batch"]
    assert shown["reference"] == f"{projects.prod.url}/seqline-batch/{version}"
    assert shown["source"] == reference
    assert shown["digest"] == version
    assert projects.prod.tags["seqline-batch"] == {"live": version}
    # The very images, and no byte of the template but their repository.
    for name in IMAGES:
        assert projects.images.manifests[f"prod/{name}"] == projects.images.manifests[f"dev/{name}"]
    old = projects.dev.versions["seqline-batch"][reference.rpartition("/")[2]]
    new = projects.prod.versions["seqline-batch"][version]
    host = projects.images.host
    assert new == old.replace(f"{host}/dev/".encode(), f"{host}/prod/".encode())
    assert {one["field"] for one in shown["values"]} == {"parameters.data", "parameters.model"}
    assert all(shown["copied"].values())


def test_a_second_promotion_changes_nothing(projects: Projects, capsys: pytest.CaptureFixture[str]) -> None:
    projects.test()
    assert promote(projects) == promote(projects) == 0
    assert len(projects.prod.versions["seqline-batch"]) == 1
    assert capsys.readouterr().out.count("(was there)") == 3


def test_with_one_repository_of_images_it_is_the_same_digest(
    projects: Projects, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = projects.test()
    projects.write("prod", images={"repository": f"{projects.images.host}/dev", "digests": projects.digests})
    assert promote(projects) == 0
    assert list(projects.prod.versions["seqline-batch"]) == [reference.rpartition("/")[2]]
    assert "the tested bytes\n" in capsys.readouterr().out


def test_a_dry_run_changes_nothing_and_shows_all(projects: Projects, capsys: pytest.CaptureFixture[str]) -> None:
    projects.test()
    assert promote(projects, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert projects.prod.versions == {}
    assert "prod/tokenize" not in projects.images.manifests
    assert (
        f"{projects.images.host}/dev/infer@{projects.digests['infer']} -> {projects.images.host}/prod/infer@" in shown
    )
    assert "parameters.data: 'gs://dev-bucket/x.txt' -> 'gs://prod-bucket/x.txt'" in shown


@pytest.mark.parametrize("state", ["PIPELINE_STATE_FAILED", "PIPELINE_STATE_RUNNING"])
def test_what_was_not_tested_is_refused_unless_it_is_said(
    projects: Projects, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    reference = projects.test(state)
    assert promote(projects) == 1
    assert "no run of seqline-batch that succeeded used an uploaded version" in capsys.readouterr().err
    assert promote(projects, "--template", reference) == 1
    assert f"no run succeeded with {reference}" in capsys.readouterr().err
    assert promote(projects, "--template", f"{projects.dev.url}/seqline-batch/live", "--untested") == 0
    assert len(projects.prod.versions["seqline-batch"]) == 1


def test_a_value_that_still_names_the_first_project_is_refused(
    projects: Projects, capsys: pytest.CaptureFixture[str]
) -> None:
    projects.test()
    data = {"data": "gs://prod-bucket/x.txt", "model": f"projects/{PROJECT}/locations/us-central1/endpoints/e"}
    projects.write("prod", parameters=data)
    assert promote(projects) == 1
    message = capsys.readouterr().err
    assert "runs in prod-project would still use a-project" in message
    assert f"parameters.model: 'projects/{PROJECT}/locations/us-central1/endpoints/e'" in message
    assert projects.prod.versions == {}


def test_an_image_without_a_digest_is_refused(projects: Projects, capsys: pytest.CaptureFixture[str]) -> None:
    projects.write("dev", images={"repository": f"{projects.images.host}/dev", "tag": "v1"})
    projects.test()
    assert promote(projects) == 1
    assert f"names images by tag, which can name another image later: {projects.images.host}/dev/evaluate:v1" in (
        capsys.readouterr().err
    )


def test_accounts_in_the_template_are_those_of_the_other_project(projects: Projects) -> None:
    reference = projects.test()
    dev = projects.open("dev")
    text = dev.templates.fetch(reference)
    flags = "--service_account_email=runs@dev.iam.gserviceaccount.com --labels=a=not-runs@dev.iam.gserviceaccount.com"
    changed = text + f"# {flags}\n"
    path = projects.folder / "changed.yaml"
    path.write_text(changed)
    made = prepare(dev, projects.open("prod"), dev.upload(path).reference, "")
    assert "--service_account_email=runs@prod.iam.gserviceaccount.com" in made.text
    # A longer address that ends like it is another one.
    assert "not-runs@dev.iam.gserviceaccount.com" in made.text
    assert ("runs@dev.iam.gserviceaccount.com", "runs@prod.iam.gserviceaccount.com") in made.replaced
    projects.write("prod", vertex={"service_account": ""})
    with pytest.raises(UserError, match=r"targets\.vertex\.service_account: the template uses runs@dev.*sets none"):
        prepare(dev, projects.open("prod"), dev.upload(path).reference, "")


@pytest.mark.parametrize(
    ("production", "address"),
    [
        ({"api_endpoint": "prod.p.googleapis.com"}, "prod.p.googleapis.com"),
        ({"api_endpoint": "prod.p.googleapis.com", "api_transport": "rest"}, "https://prod.p.googleapis.com"),
        ({"api_endpoint": ""}, "us-central1-aiplatform.googleapis.com"),
    ],
)
def test_the_address_of_the_api_is_that_of_the_other_project(
    projects: Projects, production: dict[str, str], address: str
) -> None:
    pinned = dict.fromkeys(("tokenize", "train", "evaluate", "serve"), f"sha256:{'1' * 64}")
    projects.write("dev", images={"repository": f"{projects.images.host}/dev", "digests": pinned})
    dev = projects.open("dev")
    reference = dev.upload(dev.compile("training", projects.folder / "training.yaml")).reference
    projects.write("prod", vertex=production)
    made = prepare(dev, projects.open("prod"), reference, "")
    assert made.parameters().defaults["api_endpoint"] == address
    assert (projects.vertex.url, address) in made.replaced
    assert "api_endpoint" not in {one.field.rpartition(".")[2] for one in made.kept}


def test_settings_that_stay_as_tested_are_listed(projects: Projects) -> None:
    reference = projects.test()
    projects.write(
        "prod", vertex={"training": {"spot": True}, "labels": {"env": "prod"}}, resources={"infer": {"cpu": 8}}
    )
    made = prepare(projects.open("dev"), projects.open("prod"), reference, "")
    assert {one.field for one in made.kept} == {
        "resources.infer",
        "targets.vertex.training",
        "targets.vertex.labels.env",
    }


def test_a_template_that_is_not_its_digest_is_refused(projects: Projects) -> None:
    reference = projects.test()
    (version,) = projects.dev.versions["seqline-batch"]
    projects.dev.versions["seqline-batch"][version] += b"# more\n"
    with pytest.raises(UserError, match="has another content than its digest says"):
        prepare(projects.open("dev"), projects.open("prod"), reference, "")


def test_the_newest_successful_run_decides(projects: Projects) -> None:
    first = projects.test()
    dev = projects.open("dev")
    other = projects.folder / "other.yaml"
    other.write_text(dev.templates.fetch(first) + "# other\n")
    assert find_tested(dev, "seqline-batch") == (first, find_tested(dev, "seqline-batch", first)[1])
    later = dev.upload(other).reference
    assert find_tested(dev, "seqline-batch", later) == (later, "")
    assert hashlib.sha256(other.read_bytes()).hexdigest() in later


def test_values_are_compared_with_the_defaults_of_the_template() -> None:
    found = values({"a": 1, "b": {"x": 1}}, {"b": {"x": 2}}, {"a": 1, "c": "n"})
    assert [str(one) for one in found] == ["parameters.b.x: 2 -> 1", "parameters.c: None -> 'n'"]
