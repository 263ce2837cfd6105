"""What `seqline check` and `seqline doctor` say about Kubeflow."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.checking.kubeflow import checkpoint_problems
from seqline.cli import main
from seqline.configuration import Configuration, load
from seqline.targets.kubeflow.versions import FEATURES, Server, missing, server_api
from tests.stand_ins.kfp_server import KfpServer

POD = {"security_context": {"run_as_user": 1000}, "claims": {"/checkpoints": "state/seqline"}}


@pytest.fixture
def server() -> Iterator[KfpServer]:
    with KfpServer.running() as running:
        yield running


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes seqline.yaml of the batch pipeline, the smallest one."""
    monkeypatch.chdir(tmp_path)

    def make(host: str = "http://127.0.0.1:9", pipeline: str = "batch", **content: Any) -> Path:
        kubeflow = {"host": host, **content.pop("kubeflow", {})}
        images = {"repository": "registry.example.org/seqline"}
        file = tmp_path / "seqline.yaml"
        whole = {"pipeline": pipeline, "target": "kubeflow", "images": images, "targets": {"kubeflow": kubeflow}}
        file.write_text(yaml.safe_dump({**whole, **content}, sort_keys=False))
        return file

    return make


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    main(["check", "--target", "kubeflow", "--json", *arguments])
    return {one["field"]: one["message"] for one in json.loads(capsys.readouterr().out)}


def test_an_unknown_stage_of_pods_is_reported_without_the_server(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        kubeflow={
            "pods": {"default": {"labels": {"a": "b"}}, "infr": {"labels": {"a": "b"}}, "train": {"labels": {"a": "b"}}}
        }
    )
    found = checked(capsys, "--offline")
    assert "there is no such stage; did you mean 'infer'" in found["targets.kubeflow.pods.infr"]
    assert "targets.kubeflow.pods.default" not in found
    # A stage of another pipeline, which another file runs.
    assert "targets.kubeflow.pods.train" not in found


def test_a_login_over_plain_http_is_reported_without_the_server(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write("http://kubeflow.example.org", kubeflow={"login": {"token_file": "/token"}})
    assert main(["check", "--target", "kubeflow", "--json", "--offline"]) == 1
    found = json.loads(capsys.readouterr().out)
    (problem,) = [one for one in found if not one["warning"]]
    assert "credentials are not sent to http://kubeflow.example.org over plain HTTP" in problem["message"]
    line = next(number for number, text in enumerate(file.read_text().splitlines(), start=1) if "host:" in text)
    assert problem["where"] == f"seqline.yaml, line {line}"


@pytest.mark.parametrize(
    ("checkpoints", "pods", "field"),
    [
        ("", {}, "resources.train.retries"),
        ("/checkpoints", {}, "targets.kubeflow.parameters.checkpoints"),
        ("/gcs/bucket/state", {}, "targets.kubeflow.parameters.checkpoints"),
        ("state", {"train": POD}, "targets.kubeflow.parameters.checkpoints"),
        ("s3://bucket/state", {}, None),
        ("/checkpoints-2", {"train": POD}, "targets.kubeflow.parameters.checkpoints"),
        ("/checkpoints", {"train": POD}, None),
        ("/checkpoints/en-de", {"default": POD}, None),
        ("/gcs/bucket/state", {"train": {"claims": {"/gcs/bucket": "bucket"}}}, None),
    ],
)
def test_checkpoints_that_end_with_their_pod_are_reported(
    write: Write, checkpoints: str, pods: dict[str, Any], field: str | None
) -> None:
    kubeflow = {"pods": pods, "parameters": {"checkpoints": checkpoints} if checkpoints else {}}
    loaded = load([write(pipeline="training", kubeflow=kubeflow, resources={"train": {"retries": 2}})])
    found = {one.field: one for one in checkpoint_problems(loaded, {"checkpoints": checkpoints}, "training")}
    assert set(found) == ({field} if field else set())
    if field:
        assert "claim" in found[field].message
        assert "seqline.yaml, line" in found[field].where
        assert found[field].warning == (not checkpoints)


def test_check_reports_checkpoints_that_end_with_their_pod(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(pipeline="training", kubeflow={"parameters": {"checkpoints": "/state"}})
    assert "targets.kubeflow.parameters.checkpoints" in checked(capsys, "--offline")


def examined(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    main(["doctor", "--target", "kubeflow", "--json"])
    return [one for one in json.loads(capsys.readouterr().out) if one["subject"] == "kubeflow server"]


def test_doctor_tells_the_version_and_that_nothing_is_missing(
    write: Write, server: KfpServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(server.url, kubeflow={"pods": {"infer": POD}})
    (only,) = examined(capsys)
    assert (only["state"], only["message"]) == ("ok", "KFP 2.17.0; one user; without a login")


def test_doctor_tells_what_an_older_server_lacks_and_which_of_it_is_used(
    write: Write, server: KfpServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.tag = "2.15.2"
    write(server.url, kubeflow={"pods": {"infer": POD}})
    first, *rest = examined(capsys)
    assert first["message"].startswith("KFP 2.15.2")
    states = {one["message"]: (one["state"], one["advice"]) for one in rest}
    assert states == {
        "KFP 2.15.2 does not support the folder of a claim (CLAIM/FOLDER), introduced in 2.16.0": (
            "error",
            "upgrade the server to 2.16.0 or later; this one mounts the whole claim",
        ),
        "KFP 2.15.2 does not support the security context of a pod, introduced in 2.16.0": (
            "error",
            "upgrade the server to 2.16.0 or later; this one silently ignores it",
        ),
        "KFP 2.15.2 does not support tags (`seqline upload --tag`), introduced in 2.17.0": ("warning", ""),
    }


def test_doctor_prints_what_it_found(write: Write, server: KfpServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.tag = "2.16.1"
    write(server.url)
    assert main(["doctor", "--target", "kubeflow"]) == 0
    shown = capsys.readouterr().out
    assert "✓ kubeflow server  KFP 2.16.1; one user; without a login" in shown
    assert "! kubeflow server  KFP 2.16.1 does not support tags" in shown


@pytest.mark.parametrize("tag", ["unknown", "main", ""])
def test_doctor_says_that_a_server_does_not_tell_its_version(
    write: Write, server: KfpServer, capsys: pytest.CaptureFixture[str], tag: str
) -> None:
    server.tag = tag
    write(server.url)
    (only,) = examined(capsys)
    assert only["state"] == "warning"
    assert only["message"].startswith("does not report its version")


def test_doctor_of_a_server_that_is_away_says_so_once(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write()
    assert main(["doctor", "--target", "kubeflow", "--json"]) == 1
    found = [one for one in json.loads(capsys.readouterr().out) if one["subject"].startswith("kubeflow")]
    (only,) = found
    assert "does not respond" in only["advice"]


def test_features_of_a_server_come_with_their_version() -> None:
    configuration = Configuration()
    assert missing(Server("2.17.0"), configuration) == []
    assert missing(Server("3.0.1"), configuration) == []
    assert missing(Server(""), configuration) == []
    assert [feature for feature, _ in missing(Server("2.0.5"), configuration)] == list(FEATURES)
    assert not any(used for _, used in missing(Server("2.0.5"), configuration))
    assert [feature.since for feature in FEATURES] == sorted(feature.since for feature in FEATURES)


def test_the_clients_package_is_found_where_kfp_3_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    assert server_api().__name__ == "kfp_server_api"
    merged = types.ModuleType("kfp.server_api")
    monkeypatch.setitem(sys.modules, "kfp.server_api", merged)
    assert server_api() is merged


def test_only_one_module_imports_what_kfp_3_moves() -> None:
    import re

    root = Path(__file__).parents[3] / "seqline"
    moved = re.compile(r"^\s*(?:from|import) (?:kfp_server_api|kfp\.kubernetes|kfp import kubernetes)", re.MULTILINE)
    assert [path for path in root.rglob("*.py") if moved.search(path.read_text(encoding="utf-8"))] == []
