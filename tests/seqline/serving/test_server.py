"""The HTTP interface, over real connections to a real process."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqline.endpoints.ports import in_use
from seqline.errors import UserError
from seqline.serving.model import Model
from tests.servers import Server, client


@pytest.mark.parametrize("route", ["/answer", "/v1/models/model:predict", "/v1/models/model/versions/1:predict"])
@pytest.mark.parametrize("instance", ["grüße", {"text": "grüße"}])
def test_texts_are_answered_in_the_format_of_vertex(server: Server, route: str, instance: object) -> None:
    response = client.post(server.url + route, json={"instances": [instance, "b"]})
    assert response.status_code == 200
    assert response.json() == {"predictions": [{"text": "GRüßE", "score": 0.0}, {"text": "B", "score": 0.0}]}


def test_a_body_is_json_with_any_content_type(server: Server) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = client.post(server.route, content=b'{"instances": ["a"]}', headers=headers)
    assert response.json() == {"predictions": [{"text": "A", "score": 0.0}]}


def test_no_text_has_no_prediction(server: Server) -> None:
    assert client.post(server.route, json={"instances": []}).json() == {"predictions": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"instances": "one"}', "instances"),
        (b'{"instances": [1]}', "instances.0"),
        (b'{"input": ["a"]}', "input"),
        (b'{"instances": [{"b64": "?"}]}', "instances.0.b64"),
        (b'{"instances": ["a"], "inputs": ["a"]}', "body"),
        (b"{", "body"),
        (b"", "body"),
        (b'{"instances": ["a"], "parameters": {"beam": 9}}', "parameters"),
    ],
)
def test_an_invalid_body_names_the_field(server: Server, body: bytes, field: str) -> None:
    response = client.post(server.route, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"].startswith(field)


def test_an_unknown_model_or_version_is_not_found(server: Server) -> None:
    assert client.post(f"{server.url}/v1/models/other:predict", json={"instances": []}).status_code == 404
    assert client.post(f"{server.url}/v1/models/model/versions/7:predict", json={"instances": []}).status_code == 404


def test_a_body_above_the_limit_is_rejected(server: Server) -> None:
    body = b'{"instances": ["' + b"a" * (11 * 1024 * 1024) + b'"]}'
    response = client.post(server.route, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 413


@pytest.mark.parametrize("inputs", [["a"], {"text": ["a"]}, {"text": "a"}])
def test_columns_are_answered_in_columns(server: Server, inputs: object) -> None:
    body = {"signature_name": "serving_default", "inputs": inputs}
    response = client.post(f"{server.url}/v1/models/model:predict", json=body)
    assert response.json() == {"outputs": {"text": ["A"], "score": [0.0]}}


def test_a_response_names_the_version_that_answered(server: Server) -> None:
    assert client.post(server.route, json={"instances": ["a"]}).headers["x-model-version"] == "1"


def test_too_many_or_too_long_texts_are_rejected(server: Server) -> None:
    many = client.post(server.route, json={"instances": ["a"] * 101})
    long = client.post(server.route, json={"instances": ["a", "a" * 20_001]})
    assert (many.status_code, long.status_code) == (413, 413)
    assert many.json() == {"error": "too many texts in one request; the limit is 100"}
    assert long.json()["error"].startswith("text 1 has 20001 characters")


def test_a_chunked_body_above_the_limit_is_rejected(server: Server) -> None:
    chunks = (b"a" * 2**20 for _ in range(11))
    assert client.post(server.route, content=chunks).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"instances": ' + b"[" * 100_000,
        b'{"instances": ["\xff"]}',
        b'{"instances": ["\\ud800"]}',
        b'{"instances": [NaN]}',
        b'{"instances": ["a"], "parameters": {"beam_size": 1e999}}',
        b"null",
        b"\x00",
    ],
)
def test_an_invalid_request_is_rejected_and_the_next_one_answered(server: Server, body: bytes) -> None:
    response = client.post(server.route, content=body)
    assert response.status_code == 400
    assert response.json()["error"]
    assert client.post(server.route, json={"instances": ["a"]}).status_code == 200


def test_metadata_has_the_signatures(server: Server) -> None:
    metadata = client.get(f"{server.url}/v1/models/model/versions/1/metadata").json()
    assert metadata["model_spec"] == {"name": "model", "signature_name": "", "version": "1"}
    (signature,) = metadata["metadata"]["signature_def"]["signature_def"].values()
    assert signature["inputs"]["text"]["dtype"] == "DT_STRING"
    assert signature["outputs"]["score"]["dtype"] == "DT_FLOAT"


def test_a_model_exported_with_schema_version_1_is_served_with_its_own_metadata(server: Server) -> None:
    metadata = client.get(f"{server.url}/v1/models/model/metadata").json()["metadata"]["model"]
    assert (metadata["schema_version"], metadata["decoding"]["weights"]) == (1, "float32")
    assert client.post(server.route, json={"instances": ["a"]}).json()["predictions"][0]["text"] == "A"


def test_a_model_of_a_newer_version_is_not_served(toy_models: SimpleNamespace, tmp_path: Path) -> None:
    newer = shutil.copytree(toy_models.quiet, tmp_path / "newer")
    file = newer / "model.json"
    file.write_text(file.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    with pytest.raises(UserError, match=r"schema version 3, and this Seqline reads 1 to 2; export the model again"):
        Model(newer)
    assert Model(toy_models.quiet).predict(["A"], ())[0].text == "a"


def test_the_openapi_document_describes_the_bodies(server: Server) -> None:
    document = client.get(f"{server.url}/openapi.json").json()
    predict = document["paths"]["/answer"]["post"]
    assert predict["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/PredictRequest")
    assert {"200", "400", "413", "429", "503", "504"} <= predict["responses"].keys()
    assert "instances" in document["components"]["schemas"]["PredictRequest"]["properties"]


def test_requests_texts_and_batches_are_counted(server: Server) -> None:
    def count(name: str) -> float:
        lines = client.get(f"{server.url}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    before = (
        count("seqline_texts_total"),
        count("seqline_batch_size_sum"),
        count('seqline_traffic_percent{version="1"}'),
    )
    client.post(server.route, json={"instances": ["a", "b", "c"]})
    assert count("seqline_texts_total") >= before[0] + 3  # other tests send requests, too
    assert count("seqline_batch_size_sum") >= before[1] + 3
    assert before[2] == 100


def test_the_page_loads_nothing_from_other_hosts(server: Server) -> None:
    page = client.get(f"{server.url}/")
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_the_status_has_the_loaded_version(server: Server) -> None:
    (status,) = client.get(f"{server.url}/v1/models/model").json()["model_version_status"]
    assert (status["version"], status["state"]) == ("1", "AVAILABLE")


def test_a_port_in_use_is_an_error_of_one_line(toy_models: SimpleNamespace) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-m", "seqline.serving", "--model", str(toy_models.loud), "--port", port]
        done = subprocess.run([*command, "--host", "127.0.0.1"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"error: cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_our_own_server_is_recognized_on_its_port(server: Server) -> None:
    assert f"port {server.port} is in use by Seqline's own server of the endpoint 'model'" in in_use(server.port)


def test_without_a_model_the_server_names_the_options(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIP_")}
    command = [sys.executable, "-m", "seqline.serving"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "pass --endpoint or --model, or set AIP_STORAGE_URI" in done.stderr
