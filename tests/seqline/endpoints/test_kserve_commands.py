"""`seqline endpoint` and `seqline predict` with an endpoint on KServe, under the role that the documentation gives."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.cli import main
from seqline.components.infer.stage import served_model
from seqline.endpoints.kserve.back_end import address_in_store
from seqline.endpoints.kserve.requests import TOKEN_FILE
from seqline.errors import UserError
from tests.seqline.endpoints.conftest import ENDPOINT, KServe

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "kserve.md"


def role() -> set[tuple[str, str, str]]:
    (text,) = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    return {
        (group, plural, verb)
        for rule in yaml.safe_load(text)["rules"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture
def two(kserve: KServe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KServe:
    """An endpoint with two versions, and nothing else in the current folder."""
    monkeypatch.chdir(tmp_path)
    kserve.cluster.rules = role()
    kserve.deploy(kserve.model("one"))
    kserve.deploy(kserve.model("two", "lower"))
    return kserve


def test_the_commands_work_under_the_documented_role(two: KServe, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoint", "list", "--on", "kserve://ns", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["state"], row["live"], row["versions"]) == ("demo", "running", 2, [1, 2])
    assert main(["endpoint", "describe", ENDPOINT, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["versions"]
    assert [sorted(one["aliases"]) for one in shown] == [["best", "previous"], ["champion"]]
    assert main(["predict", "Hello", "--endpoint", ENDPOINT, "--address", two.cluster.url]) == 0
    assert capsys.readouterr().out == "hello\n"
    assert main(["endpoint", "rollback", ENDPOINT]) == 0
    assert capsys.readouterr().out == "version 1 is live\n"
    assert main(["predict", "Hello", "--endpoint", ENDPOINT, "--address", two.cluster.url]) == 0
    assert capsys.readouterr().out == "HELLO\n"
    assert main(["endpoint", "allow", "two", "--endpoint", ENDPOINT]) == 0
    assert main(["endpoint", "traffic", "2=100", "--endpoint", ENDPOINT]) == 0
    assert main(["endpoint", "stop", ENDPOINT]) == 0
    assert main(["endpoint", "start", ENDPOINT]) == 0
    assert "version 1 is live at" in capsys.readouterr().out
    other = {"standard": "serving.knative.dev", "serverless": "apps"}[two.mode]
    needed = {rule for rule in role() if rule[0] != other and rule[2] != "watch"}
    assert needed <= two.cluster.used, "a right that no command needs"


def test_shares_can_be_set_by_hand_in_serverless_mode(serverless: KServe, capsys: pytest.CaptureFixture[str]) -> None:
    serverless.deploy(serverless.model("one"))
    serverless.deploy(serverless.model("two"))
    assert main(["endpoint", "traffic", "1=25", "2=75", "--endpoint", ENDPOINT]) == 0
    assert serverless.back_end().state().shares == {1: 25, 2: 75}
    assert main(["endpoint", "traffic", "1=0", "2=100", "--endpoint", ENDPOINT]) == 0
    assert serverless.back_end().state().shares == {2: 100}


def test_a_token_is_sent_over_plain_http_to_this_machine_only(
    two: KServe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv(TOKEN_FILE, str(tmp_path / "token"))
    assert main(["predict", "Hello", "--endpoint", ENDPOINT, "--address", two.cluster.url]) == 0
    assert main(["predict", "Hello", "--endpoint", ENDPOINT]) == 1
    assert "is not https: a token is not sent over plain HTTP" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (302, "requires a login .status 302.: set SEQLINE_TOKEN_FILE"),
        (403, "requires a login .status 403.: set SEQLINE_TOKEN_FILE"),
        (503, "returned status 503: no healthy upstream"),
    ],
)
def test_a_gateway_that_refuses_says_what_to_do(
    standard: KServe, status: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard.deploy(standard.model("one"))
    answer = status, {"Content-Type": "text/plain"}, b"no healthy upstream"
    monkeypatch.setattr(standard.cluster.gateway, "ask", lambda *_: answer)
    with pytest.raises(UserError, match=message):
        standard.back_end().predict(["Hello"])


def test_a_version_that_another_one_answers_for_is_not_checked(kserve: KServe, monkeypatch: pytest.MonkeyPatch) -> None:
    kserve.deploy(kserve.model("one"))
    ask = kserve.cluster.gateway.ask

    def stale(*asked: Any) -> Any:
        status, headers, body = ask(*asked)
        return status, {**headers, "X-Model-Version": "1"}, body

    monkeypatch.setattr(kserve.cluster.gateway, "ask", stale)
    with pytest.raises(
        UserError, match=r"version 2 failed its smoke request: at .* version 1 answers; .*build it again"
    ):
        kserve.deploy(kserve.model("two"))
    assert kserve.back_end().state().shares == {1: 100}


def test_the_token_of_the_kubeconfig_is_sent(standard: KServe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standard.cluster.token = "valid"
    with pytest.raises(UserError, match="Unauthorized; the credentials are not valid or have expired"):
        standard.back_end().state()
    monkeypatch.setenv("KUBECONFIG", str(standard.cluster.kubeconfig(tmp_path)))
    assert standard.back_end().state().traffic == {}


def test_a_cluster_without_knative_says_so(serverless: KServe) -> None:
    serverless.deploy(serverless.model("one"))
    serverless.cluster.serverless = False
    with pytest.raises(UserError, match=r"the cluster has no Revision of serving.knative.dev/v1; install KServe with"):
        serverless.back_end().state()


def test_a_record_that_is_no_json_names_the_config_map(standard: KServe) -> None:
    standard.deploy(standard.model("one"))
    standard.cluster.objects.get("configmaps", "ns", "demo-seqline")["data"]["endpoint.json"] = "{"
    with pytest.raises(UserError, match="the ConfigMap ns/demo-seqline is not a JSON object; correct the ConfigMap"):
        standard.back_end().state()


def test_batch_inference_downloads_the_live_version(
    two: KServe, monkeypatch: pytest.MonkeyPatch, cloud_storage: object
) -> None:
    stored = two.cluster.objects.get("configmaps", "ns", "demo-seqline")
    stored["data"]["endpoint.json"] = stored["data"]["endpoint.json"].replace("s3://bucket/two", "gs://bucket/two")
    cloud_storage.mkdir("bucket")  # type: ignore[attr-defined]
    cloud_storage.put(str(two.model("two")), "bucket/two", recursive=True)  # type: ignore[attr-defined]
    with served_model(ENDPOINT) as served:
        assert served.model.read_description().fingerprint == "two"
        assert served.address == "gs://bucket/two"


def test_batch_inference_from_an_endpoint_without_a_live_version_says_so(kserve: KServe) -> None:
    with pytest.raises(UserError, match="no version is live at the endpoint kserve://ns/demo"):
        served_model(ENDPOINT).__enter__()


@pytest.mark.parametrize(
    ("folder", "address"),
    [
        ("/gcs/bucket/runs/model", "gs://bucket/runs/model"),
        ("/s3/bucket/runs/model", "s3://bucket/runs/model"),
        ("/minio/bucket/runs/model", "s3://bucket/runs/model"),
    ],
)
def test_a_model_has_the_address_of_its_store(folder: str, address: str) -> None:
    assert address_in_store(Path(folder)) == address


def test_a_model_in_a_folder_of_a_machine_is_refused() -> None:
    with pytest.raises(UserError, match="/home/me/model is not in an object store"):
        address_in_store(Path("/home/me/model"))
