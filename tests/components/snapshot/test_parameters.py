"""The first task checks every parameter by the schema of the stage that reads it, and passes on complete options."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from kfp.dsl import Artifact

from seqline.components.collect.component import collect
from seqline.components.snapshot import stage
from seqline.components.snapshot.component import snapshot as component
from seqline.components.snapshot.stage import UNCHANGED, check_and_snapshot
from seqline.errors import UserError
from seqline.pipelines import PIPELINES
from seqline.schema.sections import SECTIONS

EMPTY: dict[str, Any] = {name: [] if section.field else {} for name, section in SECTIONS.items()}
FIELDS = component.python_func.__annotations__["return"]._fields


@pytest.fixture
def data(tmp_path: Path) -> str:
    (tmp_path / "pairs.tsv").write_text("a\tb\n")
    return str(tmp_path / "pairs.tsv")


def resolved(data: str, output: Path, **parameters: Any) -> dict[str, Any]:
    """The outputs of the first task by the names that its contract declares."""
    return dict(zip(FIELDS, check_and_snapshot(output, {"data": data, **EMPTY, **parameters}), strict=True))


def defaults_of(pipeline: str) -> dict[str, object]:
    graph = getattr(resolve_name(PIPELINES[pipeline]), pipeline)
    return {name: one.default for name, one in inspect.signature(graph.pipeline_func).parameters.items()}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_s_defaults_pass(pipeline: str, data: str, tmp_path: Path) -> None:
    check_and_snapshot(tmp_path / "out", {**defaults_of(pipeline), "data": data})
    assert (tmp_path / "out" / "snapshot.json").exists()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"task": "singing"}, "task must be translation, summarization, question_answering or text_generation, not "
         "'singing'"),
        ({"source_language": " "}, "corpus: source_language must not be empty"),
        ({"corpus": {"vocabulary_size": 0}}, "corpus.vocabulary_size must be at least 300, not 0"),
        ({"corpus": {"max_malformed_share": 2.0}}, "corpus.max_malformed_share must be at least 0 and below 1, not 2"),
        ({"corpus": {"rules": {"identicle": False}}}, "corpus.rules: there is no rule 'identicle'; did you mean "
         "'identical'?"),
        ({"corpus": {"model_type": "wordpiece"}}, "corpus.model_type must be unigram or bpe, not 'wordpiece'"),
        ({"corpus": {"max_tokens": 0}}, "corpus.max_tokens must be at least 1, not 0"),
        ({"corpus": {"expectations": {"min_pair": 1}}}, "corpus.expectations: there is no expectation 'min_pair'"),
        ({"training": {"epochs": 0}}, "training.epochs must be at least 1, not 0"),
        ({"training": {"dropout": 5}}, "training.dropout must be at least 0 and below 1, not 5"),
        ({"training": {"learning_rate": -0.5}}, "training.learning_rate must be at least 0, not -0.5"),
        ({"training": {"minutes": -1.0}}, "training.minutes must be at least 0, not -1"),
        ({"training": {"precision": "float8"}}, "training.precision must be auto, float32 or bfloat16, not 'float8'"),
        ({"training": {"drpout": 0.2}}, "training.drpout is unknown; did you mean 'dropout'?"),
        ({"training": []}, "training must be an object such as "),
        ({"tuning": {"trial_minutes": -1.0}}, "tuning.trial_minutes must be "),
        ({"decoding": {"beam_size": 0}}, "decoding.beam_size must be at least 1"),
        ({"decoding": {"length_penalty": -1.0}}, "decoding.length_penalty must be at least 0"),
        ({"evaluation": {"terms": {"he": []}}}, "evaluation.terms: he must be a list of words"),
        ({"evaluation": {"min_slice_size": 0}}, "evaluation.min_slice_size must be at least 1, not 0"),
        ({"gate": [{"metric": "bleu", "minimum": "high"}]}, "gate[0].minimum must be a number, not 'high'"),
        ({"gate": [{"metric": "blue", "minimum": 20}]}, "gate[0]: there is no metric 'blue'; did you mean 'bleu'?"),
        ({"serving": {"port": 0}}, "serving.port must be at least 1 and at most 65535, not 0"),
        ({"inference": {"shard_lines": 0}}, "inference.shard_lines must be at least 1, not 0"),
    ],
)  # fmt: skip
def test_a_value_that_a_later_stage_refuses_stops_the_first_task_by_its_full_name(
    parameters: dict[str, Any], message: str, data: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        resolved(data, tmp_path / "out", **parameters)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "out").exists()


def test_all_faults_of_all_sections_are_reported_at_once(data: str, tmp_path: Path) -> None:
    sections = {"training": {"epochs": 0, "dropout": 3.0}, "decoding": {"beam_size": 0}, "serving": {"port": 8501}}
    with pytest.raises(UserError) as caught:
        resolved(data, tmp_path / "out", task="singing", **sections)
    assert [line.partition(" must")[0] for line in str(caught.value).splitlines()] == [
        "task", "training.epochs", "training.dropout", "decoding.beam_size",
    ]  # fmt: skip


def test_values_that_are_wrong_together_are_reported(data: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^corpus: valid_share and test_share must leave pairs .*; their sum is 1.2"):
        resolved(data, tmp_path / "out", corpus={"valid_share": 0.6, "test_share": 0.6})


def test_the_outputs_are_the_declared_ones_in_order() -> None:
    sections = [name for name in SECTIONS if name not in UNCHANGED]
    declared = ["fingerprint", "warm_start_fingerprint", "model", "model_fingerprint", "baseline", *sections]
    assert list(FIELDS) == declared
    assert [name for name in component.component_spec.outputs if name != "snapshot"] == declared
    assert set(component.component_spec.inputs) >= set(SECTIONS) - {"monitoring", "retraining"}


@pytest.mark.parametrize(
    "same",
    [
        {"training": {"dropout": 0.1}},
        {"training": {"epochs": 20.0}, "corpus": {"vocabulary_size": 8000.0, "shards": 4}},
        {"decoding": {"beam_size": 4.0}, "task": "translation"},
    ],
)
def test_a_written_out_default_gives_the_same_outputs(same: dict[str, Any], data: str, tmp_path: Path) -> None:
    assert resolved(data, tmp_path / "a", **same) == resolved(data, tmp_path / "b")


def test_the_options_of_each_stage_are_complete_and_hold_the_parameters_of_the_run(data: str, tmp_path: Path) -> None:
    outputs = resolved(
        data, tmp_path / "out", task="summarization", source_field="text", training={"batch_tokens": 400.0}
    )
    for name, section in SECTIONS.items():
        if name not in UNCHANGED:
            assert set(outputs[name]) == set(section.model.model_fields), name
            # kfp passes objects as JSON, which must give the stage the same options back.
            assert section.model(**json.loads(json.dumps(outputs[name]))).model_dump(mode="json") == outputs[name]
    assert (outputs["corpus"]["task"], outputs["corpus"]["source_field"]) == ("summarization", "text")
    assert outputs["evaluation"]["task"] == "summarization"
    assert repr(outputs["training"]["batch_tokens"]) == "400"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_first_task_gets_every_parameter_that_its_contract_names(pipeline: str) -> None:
    graph = getattr(resolve_name(PIPELINES[pipeline]), pipeline)
    first = collect if pipeline == "monitoring" else component
    task = next(
        task
        for part in (graph.pipeline_spec.root, *graph.pipeline_spec.components.values())
        for name, task in part.dag.tasks.items()
        if name == first.component_spec.name
    )
    given = {name.removeprefix("pipelinechannel--") for name in task.inputs.parameters}
    assert set(defaults_of(pipeline)) & set(first.component_spec.inputs) <= given


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_first_task_has_the_parameters_by_the_same_types(pipeline: str) -> None:
    known, given = component.pipeline_spec.components["comp-snapshot"], PIPELINES[pipeline]
    graph = getattr(resolve_name(given), pipeline)
    types = {name: one.parameter_type for name, one in known.input_definitions.parameters.items()}
    for name, one in graph.pipeline_spec.root.input_definitions.parameters.items():
        assert types.get(name, one.parameter_type) == one.parameter_type, name


def test_checking_needs_no_large_library(data: str, tmp_path: Path) -> None:
    parameters = {
        "data": data,
        "training": {"epochs": 3},
        "gate": [{"metric": "bleu", "minimum": 3}],
        "serving": {"port": 8501},
        "decoding": {"beam_size": 2},
    }
    code = (
        "import sys; from pathlib import Path; from seqline.components.snapshot.stage import check_and_snapshot; "
        f"check_and_snapshot(Path({str(tmp_path / 'out')!r}), {parameters!r} | {EMPTY!r} | {parameters!r}); "
        "large = {'tensorflow', 'keras', 'numpy', 'sacrebleu', 'fastapi', 'rouge_score', 'apache_beam'}; "
        "print(large & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("root", ["gs://bucket/root", "s3://bucket/root", "minio://mlpipeline/v2/artifacts"])
@pytest.mark.parametrize("endpoint", ["demo", "/gcs/bucket/endpoints/demo"])
def test_a_local_endpoint_is_refused_where_stages_are_containers(root: str, endpoint: str, data: str) -> None:
    with pytest.raises(UserError, match=f"{endpoint} is a folder in deploy's container, and its server ends with it"):
        component.python_func(data=data, snapshot=Artifact(uri=f"{root}/snapshot"), endpoint=endpoint)


@pytest.mark.parametrize(
    "endpoint", ["", "projects/p/locations/us-central1/endpoints/en-de", "kserve://translation/en-de"]
)
def test_an_endpoint_that_is_a_service_passes_there(endpoint: str, data: str, tmp_path: Path) -> None:
    check_and_snapshot(tmp_path / "out", {"data": data, **EMPTY, "endpoint": endpoint}, containers=True)


def test_an_option_of_another_service_than_the_endpoints_is_refused(data: str, tmp_path: Path) -> None:
    parameters = {"data": data, **EMPTY, "endpoint": "kserve://translation/en-de", "serving": {"spot": True}}
    with pytest.raises(UserError, match=r"serving\.spot has no effect on KServe"):
        check_and_snapshot(tmp_path / "out", parameters, containers=True)


def test_a_local_endpoint_passes_on_a_laptop(data: str, tmp_path: Path) -> None:
    component.python_func(data=data, snapshot=Artifact(uri=str(tmp_path / "out")), endpoint=str(tmp_path / "demo"))
    assert (tmp_path / "out" / "snapshot.json").exists()


def test_the_live_version_of_an_endpoint_is_found_where_only_stores_can_be_imported(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "live_model", lambda endpoint: f"s3://bucket/{endpoint.rpartition('/')[2]}")
    parameters = {"data": data, **EMPTY, "model": "kserve://translation/en-de"}
    assert check_and_snapshot(tmp_path / "out", parameters, containers=True)[2] == "s3://bucket/en-de"
    assert check_and_snapshot(tmp_path / "out", parameters)[2] == "kserve://translation/en-de"
    assert check_and_snapshot(tmp_path / "out", {**parameters, "model": "gs://b/m"}, containers=True)[2] == "gs://b/m"
