"""The configuration: read, merged, set by flags, and its errors."""

from pathlib import Path

import pytest

from seqline.configuration import Configuration, load
from seqline.configuration.loaded import ConfigurationError
from seqline.configuration.parameters import Parameters
from seqline.errors import UserError

KNOWN = Parameters(
    "toy", {"data": "STRING", "epochs": "NUMBER_INTEGER", "dropout": "NUMBER_DOUBLE", "evaluation": "STRUCT"}
)
VERTEX = "targets: {vertex: {project: my-project, pipeline_root: gs://my-bucket/runs%s}}\n"


def write(folder: Path, text: str, name: str = "seqline.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(*files: Path, settings: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(files, settings)
    return [str(problem) for problem in caught.value.problems]


def test_without_a_file_everything_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().configuration == Configuration()


def test_the_file_of_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "target: kubeflow\n")
    assert load().configuration.target == "kubeflow"


def test_files_are_merged_from_left_to_right_key_by_key(tmp_path: Path) -> None:
    base = write(tmp_path, "parameters: {epochs: 1, preset: tiny}\ntargets: {laptop: {port: 1000}}\n", "a.yaml")
    above = write(tmp_path, "parameters: {epochs: 2}\ntargets: {laptop: {cache: false}}\n", "b.yaml")
    merged = load([base, above]).configuration
    assert merged.parameters == {"epochs": 2, "preset": "tiny"}
    assert (merged.targets.laptop.port, merged.targets.laptop.cache) == (1000, False)


def test_set_has_precedence_over_files_and_the_last_one_over_the_others(tmp_path: Path) -> None:
    file = write(tmp_path, "targets: {laptop: {port: 1000}}\n")
    assert (
        load([file], ["targets.laptop.port=2000", "targets.laptop.port=3000"]).configuration.targets.laptop.port == 3000
    )


def test_a_parameter_is_the_common_one_then_the_targets_then_the_schedules_then_the_flags(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "parameters: {data: common, epochs: 1, dropout: 0.5}\n"
        "targets: {vertex: {project: my-project, pipeline_root: gs://my-bucket, parameters: {data: cloud}}}\n"
        "schedules: {nightly: {cron: 0 3 * * *, parameters: {epochs: 2}}}\n",
    )
    loaded = load([file], ["dropout=0"])
    assert loaded.arguments(KNOWN, "laptop") == {"data": "common", "epochs": 1, "dropout": 0.0}
    assert loaded.arguments(KNOWN, "vertex", "nightly") == {"data": "cloud", "epochs": 2, "dropout": 0.0}
    assert loaded.arguments(KNOWN, "vertex", "nightly", others=True) == {"epochs": 2, "dropout": 0.0}


def test_a_key_within_an_option_can_be_set(tmp_path: Path) -> None:
    file = write(tmp_path, "parameters: {evaluation: {terms: {a: [x], b: [y]}}}\n")
    arguments = load([file], ['evaluation.terms.a=["z"]']).arguments(KNOWN, "laptop")
    assert arguments == {"evaluation": {"terms": {"a": ["z"], "b": ["y"]}}}


def test_a_text_parameter_that_looks_like_a_number_stays_text() -> None:
    assert load([], ["data=2024"]).arguments(KNOWN, "laptop") == {"data": "2024"}


def test_every_wrong_parameter_is_reported_with_file_line_and_the_nearest_name(tmp_path: Path) -> None:
    file = write(tmp_path, "parameters:\n  epoch: 3\n  dropout: high\n")
    with pytest.raises(ConfigurationError) as caught:
        load([file], ["evaluatio={}"]).arguments(KNOWN, "laptop")
    assert str(caught.value).splitlines() == [
        "--set evaluatio={}: there is no parameter 'evaluatio'; did you mean 'evaluation'?",
        f"{file}, line 2: parameters.epoch: there is no parameter 'epoch'; did you mean 'epochs'?",
        f"{file}, line 3: parameters.dropout: must be a number, not 'high'",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targts: {}", "line 1: targts: is unknown; did you mean 'targets'?"),
        ("targets:\n  laptop:\n    prot: 1", "line 3: targets.laptop.prot: is unknown; did you mean 'port'?"),
        ("targets:\n  laptop:\n    port: high", "line 3: targets.laptop.port: must be a whole number, not 'high'"),
        ("targets:\n  laptop: 3", "line 2: targets.laptop: must be an object of keys and values, not 3"),
        ("target: cloud", "line 1: target: there is no target 'cloud'; available: kubeflow, laptop, vertex"),
        (VERTEX % ", projct: x", "targets.vertex.projct: is unknown; did you mean 'project'?"),
        (VERTEX % ", labels: {Team: x}", "targets.vertex.labels.Team: has the wrong form: 'Team'"),
        (VERTEX % ", notify: [nobody]", "targets.vertex.notify.0: has the wrong form: 'nobody'"),
        (VERTEX % ", training: {tpu: {version: v6e}}", "training.tpu.version: must be v2, v3 or v5e, not 'v6e'"),
        ("targets: {vertex: {project: my-project}}", "targets.vertex.pipeline_root: is missing"),
        ("resources: {train: {cpus: 3}}", "resources.train.cpus: is unknown; did you mean 'cpu'?"),
        ("resources: {train: {timeout: 60}}", "resources.train: timeout had no effect; remove it, and set targets."),
        ("images: {digests: {train: latest}}", "images.digests.train: has the wrong form: 'latest'"),
        ("schedules: {s: {cron: '0 3 * *'}}", "schedules.s.cron: a cron expression has five fields"),
        ("schedules: {s: {cron: 0 3 * * *, timezone: Mars}}", "schedules.s.timezone: there is no time zone 'Mars'"),
        ("schedules: {s: {cron: 0 3 * * *, start: 2030-01-01}}", "schedules.s.start: needs a time zone"),
        ("schedules: {Up: {cron: 0 3 * * *}}", "schedules.Up: has the wrong form: 'Up'"),
    ],
)
def test_an_error_names_the_line_the_field_and_what_to_write(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path, text)
    (problem,) = problems(file)
    assert problem.startswith(f"{file}, line ")
    assert message in problem


def test_a_problem_of_merged_files_names_the_last_file_that_sets_the_key(tmp_path: Path) -> None:
    base = write(tmp_path, "target: laptop\n", "a.yaml")
    above = write(tmp_path, "pipeline: training\ntarget: moon\n", "b.yaml")
    (problem,) = problems(base, above)
    assert problem.startswith(f"{above}, line 2: target")


def test_a_wrong_flag_names_the_flag() -> None:
    assert problems(settings=("targets.laptop.port=0",))[0].startswith(
        "--set targets.laptop.port=0: targets.laptop.port"
    )
    with pytest.raises(UserError, match="--set takes KEY=VALUE, not 'epochs'"):
        load([], ["epochs"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: [", "not YAML: did not find expected node content"),
        (b"- a\n", "line 1: a configuration must be a mapping of keys to values, not a sequence"),
        (b"\xff", "not UTF-8"),
        (b"target: laptop\ntarget: vertex\n", "line 2: target is set twice; first on"),
        (b"parameters: !!python/object:os.system {}\n", "not YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: bytes, message: str) -> None:
    file = tmp_path / "seqline.yaml"
    file.write_bytes(text)
    with pytest.raises(UserError) as caught:
        load([file])
    assert str(file) in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read: No such file or directory; `seqline init` writes one"):
        load([tmp_path / "none.yaml"])


def test_anchors_and_merge_keys_of_yaml_work(tmp_path: Path) -> None:
    file = write(
        tmp_path, "schedules:\n  a: &a {cron: 0 3 * * *, paused: true}\n  b: {<<: *a, timezone: Europe/Paris}\n"
    )
    assert load([file]).configuration.schedules["b"].paused


def test_a_tag_that_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    assert load([write(tmp_path, "images: {tag: 12e4}\n")]).configuration.images.tag == "12e4"
    assert load([], ["images.tag=12e4"]).configuration.images.tag == "12e4"


def test_a_key_below_a_value_cannot_be_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--set target\.x=1: target is not an object, so it has no keys to set"):
        load([write(tmp_path, "target: laptop\n")], ["target.x=1"])


def test_a_text_has_the_digits_as_they_were_written_and_a_number_its_value(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "images: {tag: 1.10}\nresources: {train: {cpu: 0.50, accelerator_count: 1.6e1, retries: 0o2}}\n"
        + VERTEX % ", labels: {build: 007}, training: {environment: {VERSION: 2024-01-01, TIME: 12:30}}",
    )
    configuration = load([file]).configuration
    train, vertex = configuration.resources["train"], configuration.targets.vertex
    assert vertex is not None
    assert vertex.training is not None
    assert (configuration.images.tag, train.cpu, train.accelerator_count, train.retries) == ("1.10", "0.50", 16, 2)
    assert (vertex.labels, vertex.training.environment) == (
        {"build": "007"},
        {"VERSION": "2024-01-01", "TIME": "12:30"},
    )
    assert load([file], ["images.tag=1e5"]).configuration.images.tag == "1e5"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("targets: {laptop: {port: .nan}}", "targets.laptop.port: must be a finite number, not nan"),
        ("targets: {laptop: {port: 1e999}}", "targets.laptop.port: must be a finite number, not inf"),
        ("targets: {laptop: {port: 12:30}}", "targets.laptop.port: must be a whole number, not '12:30'"),
        ("targets: {laptop: {endpoint: no}}", "targets.laptop.endpoint: must be text, not false; put it in quotes"),
        ("images: {tag: on}", "images.tag: must be text, not true; put it in quotes"),
        ("schedules: {a: {cron: 0 3 * * *, timezone: localtime}}", "there is no time zone 'localtime'"),
        ("schedules: {a: {cron: 0 3 * * *, start: 2030-01-31}}", "start: needs a time zone"),
    ],
)
def test_a_value_of_another_kind_is_named(line: str, message: str, tmp_path: Path) -> None:
    (found,) = problems(write(tmp_path, line + "\n"))
    assert message in found


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    (found,) = problems(settings=("targets.laptop.home=/tmp/\udce9",))
    assert "targets.laptop.home: is not UTF-8: '/tmp/\\udce9'" in found
