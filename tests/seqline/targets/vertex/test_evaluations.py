"""The evaluation in the Model Registry, by google-cloud-pipeline-components' own importer and Google's own client."""

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from google.cloud.aiplatform_v1 import ModelServiceClient, types
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from seqline.artifacts.evaluation import Evaluation, MetricValue
from seqline.compiling.compiler import compile_pipeline
from seqline.components.evaluate.console import general_text_generation, write_metrics
from seqline.configuration.vertex import VertexTarget
from seqline.targets.vertex.placement import place

SETTINGS = {"project": "a-project", "location": "us-central1", "pipeline_root": "gs://bucket/root"}
METRICS = {
    "bleu": MetricValue(31.25, True, "s"),
    "rougeLsum": MetricValue(60.5, True, "s"),
    "latency_p95": MetricValue(12.0, False, "s"),
}
PLACEHOLDERS = {
    "{{$.inputs.artifacts['model'].metadata['resourceName']}}": "projects/1/locations/us-central1/models/m@3",
    "{{$.inputs.parameters['display_name']}}": "seqline",
    "{{$.inputs.parameters['dataset_paths']}}": "[]",
}


@functools.cache
def portable(pipeline: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return compile_pipeline(pipeline, Path(folder) / "spec.yaml").read_text()


def placed(pipeline: str = "training") -> dict[str, Any]:
    settings = VertexTarget.model_validate({**SETTINGS, "import_evaluation": True})
    spec = place(yaml.safe_load(portable(pipeline)), settings)
    json_format.ParseDict(spec, PipelineSpec())
    return spec


def test_the_import_follows_deploy_and_only_where_the_version_is_registered() -> None:
    spec = placed()
    group = next(
        part for part in spec["components"].values() if "import-evaluation" in part.get("dag", {}).get("tasks", {})
    )
    task = group["dag"]["tasks"]["import-evaluation"]
    assert task["dependentTasks"] == ["deploy"]
    assert task["triggerPolicy"]["condition"] == "inputs.parameter_values['pipelinechannel--deploy-Output'] == true"
    output = {"outputParameterKey": "Output", "producerTask": "deploy"}
    assert task["inputs"]["parameters"] == {"pipelinechannel--deploy-Output": {"taskOutputParameter": output}}
    declared = spec["components"]["comp-deploy"]["outputDefinitions"]["parameters"]["Output"]
    assert declared["parameterType"] == "BOOLEAN"
    model = spec["components"]["comp-deploy"]["outputDefinitions"]["artifacts"]["vertex_model"]
    assert model["artifactType"]["schemaTitle"] == "google.VertexModel"
    for part in spec["components"].values():
        for one in part.get("dag", {}).get("tasks", {}).values():
            assert one["componentRef"]["name"] in spec["components"]


def test_a_pipeline_without_deploy_is_unchanged() -> None:
    assert placed("batch") == yaml.safe_load(portable("batch"))


def test_the_importer_sends_a_model_evaluation_of_the_real_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google_cloud_pipeline_components.container._implementation.model_evaluation import import_model_evaluation

    write_metrics(tmp_path / "metrics", Evaluation(False, "m", "c", 8, METRICS))
    container = placed()["deploymentSpec"]["executors"]["exec-model-evaluation-import"]["container"]
    assert container["command"][-1] == import_model_evaluation.__name__
    arguments = ["--text_generation_metrics", str(tmp_path / "metrics")]
    for flag, value in zip(container["args"], container["args"][1:], strict=False):
        if flag.startswith("--"):
            arguments += [flag, PLACEHOLDERS.get(value, str(tmp_path / "out" / flag) if "outputs" in value else "")]
    sent: list[types.ImportModelEvaluationRequest] = []

    class Client(ModelServiceClient):
        def import_model_evaluation(self, **given: Any) -> types.ModelEvaluation:
            sent.append(types.ImportModelEvaluationRequest(given))
            return types.ModelEvaluation(name=f"{given['parent']}/evaluations/1")

    make = functools.partial(Client, credentials=AnonymousCredentials(), transport="rest")
    monkeypatch.setattr(aiplatform.gapic, "ModelServiceClient", lambda **_: make())
    import_model_evaluation.main(arguments)
    (request,) = sent
    assert request.parent == "projects/1/locations/us-central1/models/m@3"
    evaluation = request.model_evaluation
    assert evaluation.metrics_schema_uri.endswith("/general_text_generation_metrics_1.0.0.yaml")
    assert json_format.MessageToDict(types.ModelEvaluation.pb(evaluation))["metrics"] == {
        "bleu": 31.25,
        "rougeLSum": 60.5,
    }


def test_an_absent_model_has_no_metrics_to_import(tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics", Evaluation(True, "", "c", standing="none"))
    assert json.loads((tmp_path / "metrics").read_text()) == {}
    assert general_text_generation({"exact_match": MetricValue(1.0, True, "s")}) == {}
