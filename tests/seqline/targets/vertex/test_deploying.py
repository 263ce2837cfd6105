"""The compiled pipeline's deploy stage on Vertex: KFP's executor, the stage and Google's client, over a connection."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.dsl.executor import Executor
from kfp.dsl.types import artifact_types
from kfp.pipeline_spec.pipeline_spec_pb2 import ExecutorInput

from seqline.components.deploy.component import deploy
from seqline.configuration import Configuration
from seqline.endpoints import vertex as back_end
from seqline.targets.vertex import Vertex
from tests.components.deploy.test_deploy import decide
from tests.stand_ins.vertex import PROJECT, VertexStandIn

ENDPOINT = f"projects/{PROJECT}/locations/us-central1/endpoints/en-de"
RUN = "bucket/root/run"


def executed(spec: dict[str, Any], folder: Path, **values: Any) -> dict[str, Any]:
    """Runs the stage as its task does, with the artifacts' types of the spec; returns its output artifacts."""
    component = spec["components"]["comp-deploy"]
    defaults = {
        # The service writes whole numbers without a point.
        name: int(one["defaultValue"]) if one["parameterType"] == "NUMBER_INTEGER" else one["defaultValue"]
        for name, one in component["inputDefinitions"]["parameters"].items()
        if "defaultValue" in one
    }

    def artifacts(definitions: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {"artifacts": [{"name": name, "uri": f"gs://{RUN}/{name}", "type": one["artifactType"]}]}
            for name, one in definitions["artifacts"].items()
        }

    message = {
        "inputs": {
            "parameterValues": {**defaults, **values},
            "artifacts": artifacts(component["inputDefinitions"]),
        },
        "outputs": {
            "artifacts": artifacts(component["outputDefinitions"]),
            "outputFile": str(folder / "executor_output.json"),
        },
    }
    json_format.ParseDict(message, ExecutorInput())
    Executor(executor_input=message, function_to_execute=deploy.python_func).execute()
    return dict(json.loads((folder / "executor_output.json").read_text())["artifacts"])


def test_deploying_with_lost_responses_is_done_once_and_traced_to_the_model_and_the_endpoint(
    vertex: VertexStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_types, "_GCS_LOCAL_MOUNT_PREFIX", f"{tmp_path}/")
    monkeypatch.setattr(back_end, "_bucket_address", lambda model: f"gs://{model.relative_to(tmp_path)}")
    monkeypatch.setattr(back_end, "PAUSES", (0, 0, 0))
    model = tmp_path / RUN / "model"
    model.mkdir(parents=True)
    description = {"schema_version": 1, "fingerprint": "f" * 64, "source_language": "en", "target_language": "de"}
    description |= {"corpus_fingerprint": "c", "created": "2026-01-01T00:00:00+00:00", "tensorflow": "2.21.0"}
    description["decoding"] = {"beam_size": 1, "length_penalty": 0.0, "max_input_length": 9, "max_output_length": 9}
    (model / "model.json").write_text(json.dumps(description))
    file = decide(tmp_path / RUN / "decision", model) / "decision.json"
    file.write_text(file.read_text().replace('"model"', f'"{"f" * 64}"'))
    configuration = Configuration.model_validate(
        {
            "targets": {
                "vertex": {
                    "project": PROJECT, "location": "us-central1", "pipeline_root": "gs://bucket/root",
                    "api_endpoint": vertex.url, "notify": ["team@example.org"],
                }
            }
        }
    )  # fmt: skip
    spec = yaml.safe_load(Vertex(configuration).compile("training", tmp_path / "spec.yaml").read_text())
    address = spec["root"]["inputDefinitions"]["parameters"]["api_endpoint"]["defaultValue"]
    image = "eu-docker.pkg.dev/p/r/serve@sha256:1"
    for call in ("UploadModel", "CreateEndpoint", "DeployModel", "UpdateEndpoint", "MergeVersionAliases"):
        vertex.faults.add(call, "lost answer")
    for _ in range(2):
        # Again, as Vertex does when a task's machine is lost.
        made = executed(spec, tmp_path, endpoint=ENDPOINT, options={"image": image}, api_endpoint=address)
        found = {name: made[name]["artifacts"][0] for name in ("vertex_model", "vertex_endpoint")}
        host = "https://us-central1-aiplatform.googleapis.com/v1"
        assert found["vertex_model"]["uri"] == f"{host}/projects/{PROJECT}/locations/us-central1/models/en-de@1"
        assert found["vertex_endpoint"]["uri"] == f"{host}/{ENDPOINT}"
        assert found["vertex_endpoint"]["metadata"] == {"resourceName": ENDPOINT}
    (endpoint,) = vertex.endpoints.resources.items.values()
    assert list(endpoint.traffic_split.values()) == [100]
    assert [deployed.model_version_id for deployed in endpoint.deployed_models] == ["1"]
    (version,) = next(iter(vertex.models.versions.values()))
    assert version.artifact_uri == f"gs://{RUN}/model"
