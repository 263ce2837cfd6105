"""The values of a run's parameters: sections, nearest names and the normal form."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train.options import Options
from seqline.configuration import load
from seqline.configuration.arguments import read_arguments
from seqline.configuration.loaded import ConfigurationError
from seqline.configuration.parameters import Parameters
from seqline.schema.options import OptionsError
from seqline.schema.renamed import RENAMED

TYPES = {
    "data": "STRING",
    "task": "STRING",
    "human_evaluation": "STRING",
    **dict.fromkeys(("corpus", "training", "decoding", "model_card", "evaluation", "serving", "inference"), "STRUCT"),
    "gate": "LIST",
}
KNOWN = Parameters("toy", TYPES, {"data": "", "task": "translation", "serving": {"image": "serve:1"}})
# Values that the schema of training accepts on their own, by option; the first is the default.
ACCEPTED: dict[str, list[Any]] = {
    "preset": ["tiny", "small", "auto"],
    "epochs": [20, 1, 7],
    "minutes": [0.0, 1.5, 60],
    "dropout": [0.1, 0, 0.5],
    "learning_rate": [0.0, 3e-3, 1],
    "tied_embeddings": [True, False],
    "lr_schedule": ["linear", "inverse_square_root", "cosine"],
}


def arguments(*settings: str, file: Path | None = None, **options: Any) -> dict[str, Any]:
    return load([file] if file else [], settings).arguments(KNOWN, "laptop", **options)


def problems(*settings: str, file: Path | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        arguments(*settings, file=file)
    return str(caught.value).splitlines()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str) -> Path:
    path = Path("seqline.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def test_an_option_is_set_with_its_section_or_without() -> None:
    expected = {"training": {"learning_rate": 0.003}}
    assert arguments("training.learning_rate=0.003") == expected
    assert arguments("learning_rate=0.003") == expected


def test_of_both_ways_the_last_flag_counts() -> None:
    settings = ["training.dropout=0.2", "dropout=0.3", "training.dropout=0.4"]
    assert arguments(*settings) == {"training": {"dropout": 0.4}}
    assert arguments(*settings[:2]) == {"training": {"dropout": 0.3}}


def test_a_section_is_set_whole_then_an_option_of_it() -> None:
    settings = ('training={"preset": "small", "minutes": 60}', "epochs=3")
    assert arguments(*settings) == {"training": {"preset": "small", "minutes": 60.0, "epochs": 3}}


@pytest.mark.parametrize("section", ['{"preset": "small"}', "{preset: small}"])
def test_a_section_that_a_flag_sets_replaces_the_file_s(section: str) -> None:
    file = write("parameters: {training: {epochs: 5}}\n")
    assert arguments(f"training={section}", file=file) == {"training": {"preset": "small"}}


def test_a_file_has_parameters_of_the_run_flat_and_sections_nested() -> None:
    file = write("parameters: {data: x, training: {preset: small}, gate: [{metric: bleu, minimum: 20}]}\n")
    expected = {"data": "x", "training": {"preset": "small"}, "gate": [{"metric": "bleu", "minimum": 20}]}
    assert arguments(file=file) == expected


def test_files_targets_and_flags_are_merged_option_by_option() -> None:
    file = write(
        "parameters: {training: {preset: small, epochs: 5}}\n"
        "targets: {laptop: {parameters: {training: {epochs: 6, minutes: 1}}}}\n"
    )
    expected = {"training": {"preset": "small", "epochs": 6, "minutes": 1.0, "dropout": 0.3}}
    assert arguments("dropout=0.3", file=file) == expected


@pytest.mark.parametrize("number", ["3e-3", "3E-3", "0.3e-2", "0.003"])
def test_a_number_with_an_exponent_is_a_number_in_files_and_flags(number: str) -> None:
    expected = {"training": {"learning_rate": 0.003}}
    assert arguments(file=write(f"parameters: {{training: {{learning_rate: {number}}}}}\n")) == expected
    assert arguments(f"learning_rate={number}") == expected
    assert arguments(f"parameters.training.learning_rate={number}") == expected
    assert arguments(f"parameters={{training: {{learning_rate: {number}}}}}") == expected


def test_a_large_number_with_an_exponent_is_a_whole_number() -> None:
    assert arguments("batch_tokens=1e4") == {"training": {"batch_tokens": 10_000}}
    assert arguments("corpus.tokenizer_sample=1e5") == {"corpus": {"tokenizer_sample": 100_000}}


def test_a_key_within_an_option_is_set() -> None:
    file = write("parameters: {corpus: {rules: {identical: false}}}\n")
    expected = {"corpus": {"rules": {"identical": False, "length_ratio": 4}}}
    assert arguments("corpus.rules.length_ratio=4", file=file) == expected


def test_a_section_is_merged_into_the_default_of_the_spec() -> None:
    assert arguments("serving.max_replicas=3") == {"serving": {"image": "serve:1", "max_replicas": 3}}


def test_an_unknown_name_gets_the_nearest_one_with_its_section() -> None:
    assert problems("epoch=3", "trainin.dropout=0.2", "dat=x") == [
        "--set epoch=3: there is no parameter 'epoch'; did you mean 'training.epochs'?",
        "--set trainin.dropout=0.2: there is no parameter 'trainin'; did you mean 'training'?",
        "--set dat=x: there is no parameter 'dat'; did you mean 'data'?",
    ]
    assert problems("training.epoch=3") == ["--set training.epoch=3: training.epoch is unknown; did you mean 'epochs'?"]


def test_a_name_that_two_sections_have_needs_its_section() -> None:
    (problem,) = problems("batch_size=3")
    assert (
        problem
        == "--set batch_size=3: batch_size is an option of evaluation and inference; write evaluation.batch_size"
    )
    assert arguments("inference.batch_size=3") == {"inference": {"batch_size": 3}}


def test_an_option_outside_its_section_in_a_file_is_refused_with_what_to_write() -> None:
    file = write("parameters:\n  preset: small\n  beam_size: 8\n")
    assert problems(file=file) == [
        f"{file}, line 2: parameters.preset: is an option of training; write it as training: {{preset: ...}}",
        f"{file}, line 3: parameters.beam_size: is an option of decoding; write it as decoding: {{beam_size: ...}}",
    ]


def test_a_parameter_of_the_run_inside_a_section_is_refused() -> None:
    file = write("parameters:\n  training:\n    task: summarization\n")
    (problem,) = problems(file=file)
    assert problem.startswith(f"{file}, line 3: parameters.training.task: is a parameter of the run")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_renamed_option_is_refused_with_its_new_name(old: str, new: str) -> None:
    assert problems(f"{old}=2") == [f"--set {old}=2: {old} is now {new}"]
    (problem,) = problems(file=write(f"parameters:\n  {old}: 2\n"))
    assert problem == f"seqline.yaml, line 2: parameters.{old}: {old} is now {new}"


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, new in RENAMED.items() if new.startswith("training.")])
def test_a_renamed_option_within_its_section_is_refused_with_its_new_name(old: str, new: str) -> None:
    assert problems(f"training.{old}=2") == [f"--set training.{old}=2: training.{old} is now {new}"]


def test_every_fault_is_reported_with_its_source() -> None:
    file = write(
        "parameters:\n  data: 3\n  training: {dropout: 5}\n  gate: [{metric: bleu}]\n"
        "targets:\n  laptop:\n    parameters:\n      training:\n        epochs: 0\n"
    )
    assert sorted(problems("label_smoothing=2", file=file)) == [
        "--set label_smoothing=2: training.label_smoothing must be at least 0 and below 1, not 2",
        f"{file}, line 2: parameters.data: must be text, not 3; put it in quotes",
        f"{file}, line 3: parameters.training.dropout: must be at least 0 and below 1, not 5",
        f"{file}, line 4: parameters.gate[0]: a rule needs exactly one of minimum, maximum, margin, gain, not none",
        f"{file}, line 9: targets.laptop.parameters.training.epochs: must be at least 1, not 0",
    ]


@pytest.mark.parametrize("value", ["5", "[1]", "small"])
def test_a_section_that_is_no_object_is_refused_with_an_example(value: str) -> None:
    (problem,) = problems(f"training={value}")
    assert 'training must be an object such as {"fine_tuning": "full"}, not ' in problem


def test_a_flag_that_is_wrong_below_a_value_of_a_file_is_the_source() -> None:
    file = write("parameters: {data: x}\n")
    assert problems("data.x=1", file=file) == ["--set data.x=1: data must be text, not {'x': '1'}"]


def accepted(options: dict[str, Any]) -> bool:
    try:
        Options(**options)
    except OptionsError:
        return False
    return True


TRAINING = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in ACCEPTED.items()})


def normal(options: dict[str, Any], known: Parameters = KNOWN) -> dict[str, Any]:
    read = read_arguments(known, {"training": options})
    assert read.faults == []
    return dict(read.values["training"])


@given(TRAINING.filter(accepted))
def test_the_normal_form_is_idempotent_and_means_the_same_options(options: dict[str, Any]) -> None:
    once = normal(options)
    assert normal(once) == once
    assert Options(**once) == Options(**options)


@given(TRAINING.filter(accepted), st.sets(st.sampled_from(sorted(ACCEPTED))))
def test_the_normal_form_does_not_depend_on_written_out_defaults(options: dict[str, Any], written: set[str]) -> None:
    complete = Options(**options)  # with the preset auto, other options have other defaults
    defaults = {name: getattr(complete, name) for name in written if name not in options}
    assert normal({**options, **defaults}) == normal(options)


@given(TRAINING.filter(accepted))
def test_the_defaults_of_a_spec_and_an_empty_section_give_the_same_options(options: dict[str, Any]) -> None:
    known = Parameters("toy", TYPES, {"training": options})
    assert normal({}, known) == normal(options)


def test_an_empty_section_and_written_out_defaults_are_equal() -> None:
    defaults = Options().model_dump()
    assert normal({}) == normal(defaults) == {}


def test_parameters_of_a_pipeline_of_one_s_own_may_have_the_names_of_sections_and_of_parameters_of_the_run() -> None:
    known = Parameters("mine", {"gate": "STRING", "task": "STRING", "data": "LIST", "corpus": "NUMBER_INTEGER"})
    values = {"gate": "closed", "task": "my own", "data": [1], "corpus": 3}
    read = read_arguments(known, values)
    assert (read.values, read.faults) == (values, [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("human_evaluation: no", "parameters.human_evaluation: must be text, not false; put it in quotes"),
        ("human_evaluation: on", "must be text, not true; put it in quotes"),
        ("data: 2024-01-01", "parameters.data: must be text, not the date 2024-01-01; put it in quotes"),
        ("data: 12:30", "parameters.data: must be text, not the time 12:30; put it in quotes"),
        ("data: 2e-3", "must be text, not 0.002; put it in quotes"),
        ("model_card: {license: 2024-01-01}", "license: must be text, not the date 2024-01-01; put it in quotes"),
        ("evaluation: {terms: {a: [she, no]}}", "terms.a[1]: must be text, not false; put it in quotes"),
        ("evaluation: {terms: {a: [12:30]}}", "terms.a[0]: must be text, not the time 12:30; put it in quotes"),
        ("corpus: {rules: {length_ratio: .nan}}", "rules.length_ratio: must be a finite number, not nan"),
        ("training: {learning_rate: .inf}", "learning_rate: must be a finite number, not inf"),
        ("training: {minutes: 12:30}", "minutes: must be "),
        ("training: {epochs: 9007199254740993}", "epochs: must be a whole number up to 9007199254740991"),
        ("training: {seed: 9007199254740993}", "seed: must be at least 0 and at most 4294967295, not 9007199254740993"),
        ("training: {seed: -1}", "seed: must be at least 0 and at most 4294967295, not -1"),
    ],
)
def test_a_value_that_yaml_reads_as_something_else_or_that_does_not_travel_is_named(line: str, message: str) -> None:
    found = problems(file=write(f"parameters:\n  {line}\n"))
    assert all(one.startswith("seqline.yaml, line 2: parameters.") for one in found)
    assert any(message in one for one in found)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", ".nan", "-.inf", "1e999"])
@pytest.mark.parametrize("name", ["learning_rate", "clip_norm", "minutes", "length_penalty", "max_latency_ms", "seed"])
def test_a_flag_that_is_no_finite_number_is_refused_by_name(name: str, value: str) -> None:
    (found,) = problems(f"{name}={value}")
    assert f".{name} must be " in found


@pytest.mark.parametrize(
    ("text", "number"), [("2e-3", 0.002), ("+3", 3), (".5", 0.5), ("1e0", 1), ("0o2", 2), ("0x3", 3), ("02", 2)]
)
def test_the_numbers_of_yaml_1_2_are_numbers_in_flags_and_in_files(text: str, number: float) -> None:
    expected = {"training": {"clip_norm": number}} if number != 1 else {"training": {}}
    assert arguments(f"clip_norm={text}") == expected
    assert arguments("training={clip_norm: " + text + "}") == expected
    assert arguments(file=write(f"parameters: {{training: {{clip_norm: {text}}}}}")) == expected


@pytest.mark.parametrize(
    ("target", "default", "given"),
    [
        ("vertex", "", {"api_endpoint": "own.p.googleapis.com"}),
        ("vertex", "dev.p.googleapis.com", {"api_endpoint": "own.p.googleapis.com"}),
        ("vertex", "own.p.googleapis.com", {}),
        ("kubeflow", "", {}),
    ],
)
def test_a_template_of_another_api_address_gets_the_one_of_the_configuration(
    target: str, default: str, given: dict[str, str]
) -> None:
    file = write(
        "targets:\n  kubeflow: {host: 'http://127.0.0.1:9'}\n"
        "  vertex: {project: a-project, pipeline_root: 'gs://bucket/r', api_endpoint: own.p.googleapis.com}\n"
    )
    known = Parameters("toy", {"api_endpoint": "STRING", "training": "STRUCT"}, {"api_endpoint": default})
    assert load([file]).arguments(known, target) == given
    assert load([file], ["api_endpoint=x.example.org"]).arguments(known, target) == {"api_endpoint": "x.example.org"}
