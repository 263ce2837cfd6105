"""Every parameter is checked in the first task, by the rules of the stage that reads it."""

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from pkgutil import resolve_name

import pytest

from components.errors import UserError
from components.snapshot.component import snapshot as component
from components.snapshot.parameters import OPTIONS, check_parameters, find_faults
from components.snapshot.stage import snapshot
from pipelines.training import training


def test_what_the_pipeline_begins_with_is_taken() -> None:
    defaults = {name: one.default for name, one in inspect.signature(training.pipeline_func).parameters.items()}
    check_parameters(defaults)


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
        ("smallest_slice", 0),
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


def test_the_first_task_is_given_every_parameter_of_the_pipeline() -> None:
    assert set(inspect.signature(training.pipeline_func).parameters) <= set(component.component_spec.inputs or {})


def test_every_option_that_the_pipeline_has_a_parameter_for_is_checked() -> None:
    known = {field.name for options in map(resolve_name, OPTIONS) for field in fields(options)}
    given = set(inspect.signature(training.pipeline_func).parameters)
    assert given - known <= {"data", "valid_data", "test_data", "checkpoints", "endpoint"}


def test_checking_needs_no_tensorflow() -> None:
    code = (
        "import sys; from components.snapshot.parameters import check_parameters; "
        "check_parameters({'epochs': 3, 'gate': [{'metric': 'bleu', 'minimum': 3}], 'port': 8501, 'beam_size': 2}); "
        "print({'tensorflow', 'keras', 'sacrebleu', 'fastapi', 'rouge_score'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
