"""Sections: every stage's schema, and what pipelines make of it."""

import inspect
from typing import Any

import pytest

from seqline.compiling.sources import find_pipeline
from seqline.components.train.options import Options
from seqline.errors import UserError
from seqline.pipelines import PIPELINES
from seqline.schema.descriptions import describe
from seqline.schema.options import OptionsError
from seqline.schema.renamed import RENAMED
from seqline.schema.run import RunParameters
from seqline.schema.sections import SECTIONS, implied, qualify, resolve

EMPTY: dict[str, Any] = {name: [] if section.field else {} for name, section in SECTIONS.items()}


def faults(run: dict[str, Any], sections: dict[str, Any]) -> list[str]:
    with pytest.raises(OptionsError) as caught:
        resolve(run, sections)
    return str(caught.value).splitlines()


def test_all_sections_work_with_their_defaults() -> None:
    assert set(resolve({}, EMPTY)) == set(SECTIONS)


def test_every_option_has_a_default_and_a_description() -> None:
    for section in SECTIONS.values():
        for name, field in section.model.model_fields.items():
            assert field.description, f"{section.name}.{name}"
            assert not field.is_required(), f"{section.name}.{name}"


def test_faults_of_all_sections_are_reported_by_their_full_names() -> None:
    assert faults(
        {"task": "translate"},
        {
            "corpus": {"max_tokns": 3},
            "training": {"dropout": 5, "seed": True},
            "serving": {"traffic_steps": [50, 10]},
            "gate": [{"metric": "bleu"}],
            "tuning": {"space": {"dropout": {"min": 0.0, "max": 2.0}}},
            "decoding": 3,
        },
    ) == [
        "task must be translation, summarization, question_answering or text_generation, not 'translate'; "
        "did you mean 'translation'?",
        "corpus.max_tokns is unknown; did you mean 'max_tokens'?",
        "training.dropout must be at least 0 and below 1, not 5",
        "training.seed must be a whole number, not True",
        "serving.traffic_steps: the percentages must rise and lie between 0 and 100, as in [10, 50]; [50, 10] do not",
        "gate[0]: a rule needs exactly one of minimum, maximum, margin, gain, not none",
        "tuning.space: dropout must be at least 0 and below 1, not 2",
        'decoding must be an object such as {"beam_size": 4}, not 3',
    ]


def test_a_parameter_of_the_run_is_no_option() -> None:
    assert faults({}, {"evaluation": {"task": "translation"}}) == [
        "evaluation.task is a parameter of the run: set it by its own name"
    ]


def test_a_renamed_option_in_a_section_names_the_new_one() -> None:
    assert faults({}, {"training": {"decay": "cosine", "average": 0.9, "dropout": 2}}) == [
        "training.decay is now training.lr_schedule",
        "training.average is now training.ema_momentum",
        "training.dropout must be at least 0 and below 1, not 2",
    ]


def test_a_stage_gets_the_parameters_of_the_run_that_its_schema_names() -> None:
    resolved = resolve({"task": "summarization", "endpoint": "x"}, {"corpus": {}, "evaluation": {}, "training": {}})
    assert [getattr(resolved[name], "task", None) for name in ("corpus", "evaluation", "training")] == [
        "summarization",
        "summarization",
        None,
    ]


@pytest.mark.parametrize(
    ("name", "value", "normal"),
    [
        ("training", {"beta_2": "auto"}, {}),
        ("training", {"dropout": 0.1, "preset": "small", "epochs": 20.0}, {"preset": "small"}),
        ("corpus", {"rules": {}}, {}),
        ("serving", {"traffic_steps": [10.0, 50.0]}, {}),
        ("gate", [{"metric": "chrf", "minimum": 20}], [{"metric": "chrf", "minimum": 20}]),
        ("gate", [{"metric": "chrf", "margin": 1, "confident": False}], [{"metric": "chrf", "margin": 1}]),
        ("gate", [], []),
    ],
)
def test_the_normal_form_is_what_differs_from_the_defaults(name: str, value: Any, normal: Any) -> None:
    section = SECTIONS[name]
    found = section.normal(section.resolve(value, {"task": "summarization"}))
    assert found == normal
    assert section.normal(section.resolve(found, {})) == found


def test_preset_auto_makes_the_vocabulary_auto_unless_it_is_set() -> None:
    def size(training: dict[str, Any], corpus: dict[str, Any]) -> Any:
        return resolve({}, {"training": training, "corpus": corpus})["corpus"].vocabulary_size  # type: ignore[attr-defined]

    assert size({"preset": "auto"}, {}) == "auto"
    assert size({"preset": "auto"}, {"vocabulary_size": 8000}) == 8000
    assert size({}, {}) == "auto"
    assert size({"preset": "tiny"}, {}) == size({"pretrained": "checkpoint"}, {}) == 8000


def test_tuning_has_a_fixed_preset_by_default() -> None:
    def options(training: dict[str, Any]) -> Options:
        resolved = resolve({}, {"training": training, "tuning": {}, "corpus": {}})
        assert resolved["corpus"].vocabulary_size == ("auto" if training == {"preset": "auto"} else 8000)  # type: ignore[attr-defined]
        return resolved["training"]  # type: ignore[return-value]

    assert options({}) == Options(preset="tiny")
    assert options({"dropout": 0.2}) == Options(preset="tiny", dropout=0.2)
    assert options({"preset": "small"}) == Options(preset="small")
    assert options({"pretrained": "checkpoint"}) == Options(pretrained="checkpoint")
    assert options({"preset": "auto"}) == Options(preset="auto")  # which tune refuses


@pytest.mark.parametrize(
    ("training", "corpus"),
    [
        ({"preset": "auto"}, {"vocabulary_size": 8000}),
        ({"preset": "auto", "dropout": 0.1}, {}),
        ({"preset": "tiny"}, {"vocabulary_size": 8000}),
        ({"pretrained": "checkpoint", "label_smoothing": 0.1, "learning_rate": 0.0}, {}),
    ],
)
def test_a_default_that_is_set_stays_set_in_the_normal_form(training: dict[str, Any], corpus: dict[str, Any]) -> None:
    sections = {"training": training, "corpus": corpus}
    resolved, more = resolve({}, sections), implied(sections)
    normal = {name: SECTIONS[name].normal(resolved[name], more.get(name, {})) for name in sections}
    assert resolve({}, normal) == resolved


def test_an_option_is_found_by_its_name_while_that_is_unique() -> None:
    names = ["data", "training", "evaluation", "inference", "gate"]
    assert qualify("learning_rate", names, names[1:]) == ("training", "learning_rate")
    assert qualify("data", names, names[1:]) == ("data",)
    with pytest.raises(
        UserError, match=r"batch_size is an option of evaluation and inference; write evaluation\.batch"
    ):
        qualify("batch_size", names, names[1:])
    with pytest.raises(UserError, match=r"no parameter 'learning_rat'; did you mean 'training\.learning_rate'\?"):
        qualify("learning_rat", names, names[1:])


def test_every_renamed_option_names_one_that_exists() -> None:
    parameters = [*RunParameters.model_fields, *SECTIONS]
    for old, new in RENAMED.items():
        section, _, option = new.rpartition(".")
        assert option in (SECTIONS[section].fields if section else parameters)
        with pytest.raises(UserError, match=rf"{old} is now {new}"):
            qualify(old, parameters, SECTIONS)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_takes_parameters_of_the_run_with_their_defaults_and_sections(name: str) -> None:
    for parameter, one in inspect.signature(find_pipeline(name).pipeline_func).parameters.items():
        if parameter in SECTIONS:
            assert one.default == EMPTY[parameter], parameter
        else:
            assert one.default == RunParameters.model_fields[parameter].default, parameter


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_takes_about_twenty_parameters_besides_its_sections(name: str) -> None:
    flat = [one for one in inspect.signature(find_pipeline(name).pipeline_func).parameters if one not in SECTIONS]
    assert len(flat) <= 20


def test_an_object_s_description_lists_its_options_and_links_to_the_page() -> None:
    text = describe("training")
    assert all(option in text for option in SECTIONS["training"].fields)
    assert text.endswith("docs/parameters.md#training")
