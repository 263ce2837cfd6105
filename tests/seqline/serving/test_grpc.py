"""gRPC with TensorFlow Serving's client, in a separate process because it registers messages of the same names."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Server
from tests.sharing import made_once

pytestmark = pytest.mark.e2e(seconds=15)


CLIENT = """
import json, sys
import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import (get_model_metadata_pb2, get_model_status_pb2, model_service_pb2_grpc, predict_pb2,
                                     prediction_service_pb2_grpc)

channel = grpc.insecure_channel(sys.argv[1])
predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
models = model_service_pb2_grpc.ModelServiceStub(channel)

def predict(texts, name="model", version=None, label=None, signature="serving_default", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(texts))
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    try:
        response = predictions.Predict(request, 30)
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    outputs = {key: tf.make_ndarray(value).tolist() for key, value in response.outputs.items()}
    return [[text.decode() for text in outputs["text"]], outputs["score"], response.model_spec.version.value]

found = {
    "two": predict(["grüße", "b"]),
    "same": predict(["a", "a", "a"]),
    "none": predict(tf.constant([], tf.string)),
    "by version": predict(["a"], version=1),
    "unknown version": predict(["a"], version=7),
    "unknown label": predict(["a"], label="canary"),
    "unknown model": predict(["a"], name="other"),
    "unknown signature": predict(["a"], signature="other"),
    "wrong type": predict([1, 2]),
    "a scalar": predict("a"),
    "not UTF-8": predict([b"\\xff"]),
    "too many": predict(["a"] * 101),
    "parameters": predict(["a"], signature="parameters", beam_size=np.int32(2), top_p=np.float32(0.5)),
    "an unknown parameter": predict(["a"], signature="parameters", beam=2),
    "no scalar": predict(["a"], signature="parameters", beam_size=[2]),
    "out of range": predict(["a"], signature="parameters", beam_size=0),
}
request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
request.model_spec.name = "model"
metadata = predictions.GetModelMetadata(request, 30)
signatures = get_model_metadata_pb2.SignatureDefMap()
metadata.metadata["signature_def"].Unpack(signatures)
found["inputs"] = sorted(signatures.signature_def["serving_default"].inputs)
request = get_model_status_pb2.GetModelStatusRequest()
request.model_spec.name = "model"
found["status"] = MessageToDict(models.GetModelStatus(request, 30))
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def answers(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The responses that the client got."""

    def make(folder: Path) -> None:
        (folder / "client.py").write_text(CLIENT)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        command = [sys.executable, str(folder / "client.py"), f"127.0.0.1:{server.grpc_port}"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        (folder / "answers.json").write_text(done.stdout.splitlines()[-1])

    return dict(json.loads((made_once(tmp_path_factory, "grpc", make) / "answers.json").read_text()))


def test_predict_answers_with_tensors_and_the_version(answers: dict[str, Any]) -> None:
    assert answers["two"] == [["GRüßE", "B"], [0.0, 0.0], 1]
    assert answers["same"] == [["A", "A", "A"], [0.0, 0.0, 0.0], 1]
    assert answers["none"] == [[], [], 1]
    assert answers["by version"] == [["A"], [0.0], 1]


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        ("unknown version", "NOT_FOUND", "no version 7"),
        ("unknown label", "NOT_FOUND", "no label 'canary'"),
        ("unknown model", "NOT_FOUND", "no model 'other'"),
        ("unknown signature", "INVALID_ARGUMENT", "no signature 'other'"),
        ("wrong type", "INVALID_ARGUMENT", "a tensor of strings"),
        ("a scalar", "INVALID_ARGUMENT", "one dimension"),
        ("not UTF-8", "INVALID_ARGUMENT", "not UTF-8"),
        ("too many", "INVALID_ARGUMENT", "the limit is 100"),
        ("parameters", "INVALID_ARGUMENT", "no signature parameters"),
        ("an unknown parameter", "INVALID_ARGUMENT", "inputs are ['beam', 'text']"),
        ("no scalar", "INVALID_ARGUMENT", "beam_size must be a scalar"),
        ("out of range", "INVALID_ARGUMENT", "beam_size: Input should be greater than or equal to 1"),
    ],
)
def test_an_error_has_the_status_code_of_grpc(answers: dict[str, Any], case: str, code: str, words: str) -> None:
    assert answers[case][0] == code
    assert words in answers[case][1]


def test_metadata_and_status_are_returned(answers: dict[str, Any]) -> None:
    assert answers["inputs"] == ["text"]
    assert answers["status"] == {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}
