"""Every parameter is checked in the first task, by the rules of the stage that reads it."""

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from pkgutil import resolve_name

import pytest
from seqline.components.snapshot.parameters import OPTIONS, check_parameters, find_faults

from seqline.components.snapshot.component import snapshot as component
from seqline.components.snapshot.stage import snapshot
from seqline.errors import UserError
from seqline.pipelines import PIPELINES

# What no option is about: places, which are looked at when they are used.
PLACES = {"data", "valid_data", "test_data", "checkpoints", "warm_start", "endpoint", "model", "human"}


def defaults_of(pipeline: str) -> dict[str, object]:
    graph = getattr(resolve_name(PIPELINES[pipeline]), pipeline)
    return {name: one.default for name, one in inspect.signature(graph.pipeline_func).parameters.items()}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_what_a_pipeline_begins_with_is_taken(pipeline: str) -> None:
    check_parameters(defaults_of(pipeline))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source_language", " "),
        ("vocabulary_size", 0),
        ("max_malformed_share", 2.0),
        ("rules", {"identicle": False}),
        ("model_type", "wordpiece"),
        ("max_tokens", 0),
        ("expectations", {"min_pair": 1}),
        ("beam_options", "--runner='Direct"),
        ("epochs", 0),
        ("minutes", -1.0),
        ("dropout", 5.0),
        ("learning_rate", 0.0),
        ("precision", "float8"),
        ("beam_size", 0),
        ("length_penalty", -1.0),
        ("task", "singing"),
        ("terms", {"he": []}),
        ("min_slice_size", 0),
        ("gate", [{"metric": "bleu", "minimum": "high"}]),
        ("gate", [{"metric": "blue", "minimum": 20}]),
        ("port", 0),
    ],
)
def test_a_value_that_a_later_stage_refuses_stops_the_first_task_by_name(
    name: str, value: object, tmp_path: Path
) -> None:
    data = tmp_path / "pairs.tsv"
    data.write_text("a\tb\n")
    with pytest.raises(UserError, match=f"^parameter {name}"):
        snapshot(str(data), tmp_path / "out", parameters={name: value})
    assert not (tmp_path / "out").exists()


def test_every_fault_is_told_at_once() -> None:
    assert [name for name, _ in find_faults({"epochs": 0, "dropout": 3.0, "beam_size": 0, "port": 8501})] == [
        "epochs",
        "dropout",
        "beam_size",
    ]


def test_values_that_are_wrong_together_are_found() -> None:
    ((name, message),) = find_faults({"valid_share": 0.6, "test_share": 0.6})
    assert name in ("valid_share", "test_share")
    assert "their sum" in message


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_first_task_is_given_every_parameter_of_a_pipeline(pipeline: str) -> None:
    graph = getattr(resolve_name(PIPELINES[pipeline]), pipeline)
    task = next(
        task
        for part in (graph.pipeline_spec.root, *graph.pipeline_spec.components.values())
        for name, task in part.dag.tasks.items()
        if name == "snapshot"
    )
    given = {name.removeprefix("pipelinechannel--") for name in task.inputs.parameters}
    assert set(defaults_of(pipeline)) - given <= {"model"}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_option_that_a_pipeline_has_a_parameter_for_is_checked(pipeline: str) -> None:
    known = {field.name for options in map(resolve_name, OPTIONS) for field in fields(options)}
    assert set(defaults_of(pipeline)) - known <= PLACES


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_first_task_knows_the_parameters_by_the_same_types(pipeline: str) -> None:
    known, given = component.pipeline_spec.components["comp-snapshot"], PIPELINES[pipeline]
    graph = getattr(resolve_name(given), pipeline)
    types = {name: one.parameter_type for name, one in known.input_definitions.parameters.items()}
    for name, one in graph.pipeline_spec.root.input_definitions.parameters.items():
        assert types.get(name, one.parameter_type) == one.parameter_type, name


def test_checking_needs_no_tensorflow() -> None:
    code = (
        "import sys; from seqline.components.snapshot.parameters import check_parameters; "
        "check_parameters({'epochs': 3, 'gate': [{'metric': 'bleu', 'minimum': 3}], 'port': 8501, 'beam_size': 2}); "
        "print({'tensorflow', 'keras', 'sacrebleu', 'fastapi', 'rouge_score'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
