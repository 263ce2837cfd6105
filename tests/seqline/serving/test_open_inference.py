"""The Open Inference Protocol over REST and gRPC, with the real interfaces in this process."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.serving.limits import Limits
from seqline.serving.open_inference.grpc_service import SERVICE
from seqline.serving.open_inference.messages import CLASSES
from seqline.serving.open_inference.requests import parse_inference
from seqline.serving.open_inference.tensors import version_of
from seqline.serving.request_errors import RequestError
from tests.servers import InProcess, StandInEngine, client, in_process

SIGNATURES = ("serving_default", "parameters")
TEXTS = st.lists(st.text(max_size=8), max_size=5)


@pytest.fixture(scope="module")
def server() -> Iterator[InProcess]:
    engine = StandInEngine("A:", SIGNATURES)
    engine.metadata["json"]["parameters"] = {"inputs": {"temperature": {}, "sampling": {}, "max_output_length": {}}}
    with in_process({3: engine}, texts=4, text_characters=50) as running:
        running.set({3: 100}, champion=3)
        yield running


def body(*texts: Any, **more: Any) -> dict[str, Any]:
    text = {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)}
    return {"inputs": [text], **more}


def infer(server: InProcess, content: Any, path: str = "m/infer", **headers: str) -> Any:
    return client.post(f"{server.url}/v2/models/{path}", json=content, headers=headers)


def test_texts_are_answered_with_tensors(server: InProcess) -> None:
    response = infer(server, body("grüße", "b", id="42"))
    assert response.headers["X-Model-Version"] == "3"
    assert response.json() == {
        "model_name": "m",
        "model_version": "3",
        "id": "42",
        "outputs": [
            {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["A:grüße", "A:b"]},
            {"name": "score", "datatype": "FP32", "shape": [2], "data": [0.0, 0.0]},
            {"name": "cut", "datatype": "BOOL", "shape": [2], "data": [False, False]},
        ],
    }


def test_the_requested_outputs_are_returned_in_their_order(server: InProcess) -> None:
    found = infer(server, body("a", outputs=[{"name": "score"}, {"name": "text"}])).json()
    assert [output["name"] for output in found["outputs"]] == ["score", "text"]


def test_a_column_may_be_nested_or_flat(server: InProcess) -> None:
    for data in (["a", "b"], [["a"], ["b"]]):
        content = body("a", "b")
        content["inputs"][0] |= {"shape": [2, 1], "data": data}
        assert infer(server, content).json()["outputs"][0]["data"] == ["A:a", "A:b"]


@pytest.mark.parametrize("version", ["3", "champion"])
def test_a_version_answers_by_its_number_or_alias(server: InProcess, version: str) -> None:
    assert infer(server, body("a"), f"m/versions/{version}/infer").json()["model_version"] == "3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "prompt"}, "inputs.0.name: must be 'text', the model's only input"),
        ({"datatype": "FP32"}, "inputs.0.datatype: must be BYTES"),
        ({"shape": [2]}, "inputs.0.shape: is [2], but the data have 1 texts"),
        ({"shape": [1, 2]}, "inputs.0.shape: must be [n] or [n, 1], not [1, 2]"),
        ({"shape": []}, "inputs.0.shape: must be [n] or [n, 1], not []"),
        ({"shape": [-1]}, "inputs.0.shape.0: Input should be a whole number from 0 on"),
        ({"data": [1]}, "inputs.0.data.0: Input should be a valid string"),
        ({"data": [["a", "b"]]}, "inputs.0.data.0: has 2 texts; a row has one"),
        ({"parameters": {"binary_data_size": 5}}, "inputs.0.parameters.binary_data_size: binary tensor data is not"),
        ({"extra": 1}, "inputs.0.extra: is unknown; available: "),
    ],
)
def test_a_wrong_input_is_refused_by_its_field(server: InProcess, change: dict[str, Any], message: str) -> None:
    content = body("a")
    content["inputs"][0] |= change
    response = infer(server, content)
    assert response.status_code == 400
    assert response.json()["error"].startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "inputs: Field required"),
        ({"inputs": []}, "inputs: Field required"),
        (body("a", model_name="other"), "model_name: is not the model in the address"),
        ({"inputs": body("a")["inputs"] * 2}, "inputs: has 2 tensors; the model takes one, named text"),
        (body("a", outputs=[{"name": "tokens"}]), "outputs.0.name: must be one of text, score, cut"),
        (
            body("a", outputs=[{"name": "text", "parameters": {"binary_data": True}}]),
            "outputs.0.parameters.binary_data: binary tensor data is not supported over REST",
        ),
        (
            body("a", parameters={"binary_data_output": True}),
            "parameters.binary_data_output: binary tensor data is not",
        ),
        (body("a", parameters={"beams": 2}), "parameters.beams: is unknown; did you mean 'beam_size'?"),
        (body("a", parameters={"temperature": 0.5}), "parameters.temperature: has no effect without sampling"),
        (body("a", parameters={"temperature": "warm"}), "parameters.temperature: Input should be a number"),
    ],
)
def test_a_wrong_request_is_refused_by_its_field(server: InProcess, content: Any, message: str) -> None:
    response = infer(server, content)
    assert (response.status_code, response.json()["error"][: len(message)]) == (400, message)


def test_decoding_parameters_may_be_numbers_or_strings(server: InProcess) -> None:
    for parameters in ({"sampling": True, "temperature": 0.5}, {"sampling": "true", "temperature": "0.5"}):
        assert infer(server, body("a", parameters=parameters)).status_code == 200
    found = parse_inference(json.dumps(body("a", parameters={"temperature": "5e-1"})).encode(), Limits())
    assert dict(found.parameters) == {"temperature": 0.5}


def test_binary_tensor_data_are_refused(server: InProcess) -> None:
    response = infer(server, body("a"), **{"Inference-Header-Content-Length": "10"})
    assert response.status_code == 400
    assert "send the texts in data, or use gRPC" in response.json()["error"]


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("", 200, {"name": "seqline", "extensions": []}),
        ("/health/live", 200, {"live": True}),
        ("/health/ready", 200, {"live": True, "ready": True}),
        ("/models", 200, {"models": ["m"]}),
        ("/models/m/ready", 200, {"name": "m", "ready": True}),
        ("/models/m/versions/3/ready", 200, {"name": "m", "ready": True}),
        ("/models/m", 200, {"name": "m", "versions": ["3"], "platform": "tensorflow_savedmodel"}),
        ("/models/m/versions/champion", 200, {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}]}),
        ("/models/other/ready", 404, {"error": "there is no model 'other'; this server has 'm'"}),
        ("/models/m/versions/9", 404, {"error": "model m has no version 9; loaded versions: 3"}),
        ("/models/m/versions/99999999999999999999/ready", 404, {}),
        ("/models/m/versions/4000000000/ready", 404, {"error": "there is no version 4000000000"}),
    ],
)
def test_the_server_and_the_model_describe_themselves(
    server: InProcess, path: str, status: int, expected: dict[str, Any]
) -> None:
    response = client.get(f"{server.url}/v2{path}")
    assert response.status_code == status
    assert expected.items() <= response.json().items()


def test_limits_hold(server: InProcess) -> None:
    assert infer(server, body(*"abcde")).status_code == 413
    assert infer(server, body("a" * 51)).status_code == 413
    assert call(server, "ModelInfer", request(*"abcde"))[0] == "INVALID_ARGUMENT"
    assert call(server, "ModelInfer", raw(*"abcde"))[0] == "INVALID_ARGUMENT"
    assert call(server, "ModelInfer", request("a" * 51)) == (
        "INVALID_ARGUMENT",
        "text 0 has 51 characters; the limit is 50",
    )


def request(*texts: str, **more: Any) -> Any:
    made = CLASSES["ModelInferRequest"](model_name="m", **more)
    tensor = made.inputs.add(name="text", datatype="BYTES", shape=[len(texts)])
    tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    return made


def raw(*texts: str) -> Any:
    made = CLASSES["ModelInferRequest"](model_name="m")
    made.inputs.add(name="text", datatype="BYTES", shape=[len(texts)])
    made.raw_input_contents.append(b"".join(struct.pack("<I", len(text)) + text.encode() for text in texts))
    return made


def call(server: InProcess, method: str, content: Any) -> Any:
    """The response, or the status and the message of an error."""
    response = CLASSES[f"{method}Response"]
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        try:
            return channel.unary_unary(f"/{SERVICE}/{method}", None, response.FromString)(
                content if isinstance(content, bytes) else content.SerializeToString(), timeout=30
            )
        except grpc.RpcError as error:
            return error.code().name, error.details()


def test_grpc_answers_with_tensors(server: InProcess) -> None:
    response = call(server, "ModelInfer", request("grüße", "b", id="7"))
    assert (response.model_name, response.model_version, response.id) == ("m", "3", "7")
    text, score, cut = response.outputs
    assert list(text.contents.bytes_contents) == ["A:grüße".encode(), b"A:b"]
    assert (list(score.contents.fp32_contents), list(cut.contents.bool_contents)) == ([0.0, 0.0], [False, False])
    assert list(text.shape) == [2]


def test_grpc_answers_raw_contents_with_raw_contents(server: InProcess) -> None:
    response = call(server, "ModelInfer", raw("a", "bc"))
    assert response.raw_output_contents[0] == b"\x03\0\0\0A:a\x04\0\0\0A:bc"
    assert response.raw_output_contents[1:] == [struct.pack("<2f", 0, 0), b"\0\0"]


def test_grpc_describes_the_server_and_the_model(server: InProcess) -> None:
    assert call(server, "ServerLive", CLASSES["ServerLiveRequest"]()).live
    assert call(server, "ServerReady", CLASSES["ServerReadyRequest"]()).ready
    assert call(server, "ModelReady", CLASSES["ModelReadyRequest"](name="m")).ready
    assert not call(server, "ModelReady", CLASSES["ModelReadyRequest"](name="m", version="9")).ready
    assert call(server, "ServerMetadata", CLASSES["ServerMetadataRequest"]()).name == "seqline"
    described = call(server, "ModelMetadata", CLASSES["ModelMetadataRequest"](name="m", version="3"))
    assert (described.platform, [one.name for one in described.outputs]) == (
        "tensorflow_savedmodel",
        ["text", "score", "cut"],
    )


def test_grpc_refuses_with_a_status_and_the_field(server: InProcess) -> None:
    def refused(change: Any) -> Any:
        made = request("a")
        change(made)
        return call(server, "ModelInfer", made)

    assert refused(lambda made: setattr(made, "model_name", "x"))[0] == "NOT_FOUND"
    assert refused(lambda made: setattr(made, "model_version", "9"))[0] == "NOT_FOUND"
    assert refused(lambda made: made.inputs.add())[1] == "inputs: has 2 tensors; the model takes one, named text"
    assert refused(lambda made: made.raw_input_contents.append(b""))[1].startswith("inputs.0.contents: must be empty")
    assert refused(lambda made: made.inputs[0].contents.bytes_contents.__setitem__(0, b"\xff"))[1].endswith("not UTF-8")
    assert refused(lambda made: made.outputs.add(name="x"))[1].startswith("outputs.0.name: must be one of")

    def parameter(made: Any) -> None:
        made.parameters.add(key="temperature").value.double_param = 0.5

    assert refused(parameter)[1].startswith("parameters.temperature: has no effect without sampling")
    cut = raw("abc")
    cut.raw_input_contents[0] = cut.raw_input_contents[0][:5]
    assert call(server, "ModelInfer", cut)[1] == "raw_input_contents.0: ends within text 0"
    cut.raw_input_contents[0] = b"\0"
    assert call(server, "ModelInfer", cut)[1] == "raw_input_contents.0: ends within the length of text 0"


@given(TEXTS)
def test_any_texts_are_read_as_they_were_written(texts: list[str]) -> None:
    content = json.dumps(body(*texts), ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        assert parse_inference(content, Limits()).texts == texts
    except RequestError as error:
        assert "not valid Unicode" in str(error)  # noqa: PT017 (half of a surrogate pair)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "name", "shape", "datatype", "data", "parameters", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON, st.binary(max_size=6), st.integers(min_value=0, max_value=40))
def test_no_body_makes_the_reader_fail_otherwise(value: Any, noise: bytes, at: int) -> None:
    content = json.dumps({"inputs": [value], "outputs": value, "parameters": value}).encode()
    for damaged in (content, content[:at] + noise + content[at:]):
        try:
            parse_inference(damaged, Limits())
        except RequestError as error:  # noqa: PERF203 (each is a case of its own)
            assert error.cause.value[0] in (400, 413)  # noqa: PT017 (it need not fail)


@given(st.text(max_size=30))
def test_a_version_is_a_number_or_an_alias(given: str) -> None:
    try:
        number, alias = version_of(given)
    except RequestError:
        return
    assert (number is None) or (alias is None)
