"""The training that a configuration describes, for the TPU compiler."""

from pathlib import Path

import pytest
import yaml

from seqline.checking.preflight import problems, tpu_of, training_plan
from seqline.cli import main
from seqline.configuration import load

VERTEX = {"project": "a-project", "location": "us-central1", "pipeline_root": "gs://bucket/root"}


def written(folder: Path, **settings: object) -> Path:
    path = folder / "seqline.yaml"
    path.write_text(yaml.safe_dump({"parameters": {"training": {"preset": "base", "batch_tokens": 65536}}, **settings}))
    return path


def test_the_slice_is_that_of_the_custom_job_or_of_the_task(tmp_path: Path) -> None:
    job = {"training": {"tpu": {"version": "v5e", "topology": "2x4"}}}
    assert tpu_of(load([written(tmp_path, targets={"vertex": {**VERTEX, **job}})])) == "v5e:2x4"
    task = {"train": {"accelerator_type": "TPU_V3", "accelerator_count": 8}}
    assert tpu_of(load([written(tmp_path, targets={"vertex": VERTEX}, resources=task)])) == "v3:2x2"


def test_training_without_a_tpu_runs_no_compiler(tmp_path: Path) -> None:
    gpu = {"training": {"accelerator_type": "NVIDIA_L4", "accelerator_count": 1}}
    for settings in ({}, {"targets": {"vertex": VERTEX}}, {"targets": {"vertex": {**VERTEX, **gpu}}}):
        loaded = load([written(tmp_path, **settings)])
        assert tpu_of(loaded) == ""
        assert problems(loaded) == []


def test_a_preset_that_training_selects_is_not_compiled_and_a_warning_says_so(tmp_path: Path) -> None:
    tpu = {"training": {"tpu": {"version": "v5e", "topology": "2x4"}}}
    (problem,) = problems(load([written(tmp_path, parameters={}, targets={"vertex": {**VERTEX, **tpu}})]))
    assert problem.warning
    assert str(problem).startswith("parameters.training.preset: the TPU compiler did not run: preset is auto")


def test_the_plan_has_the_parameters_of_the_vertex_target(tmp_path: Path) -> None:
    vertex = {**VERTEX, "parameters": {"training": {"preset": "big"}}}
    plan = training_plan(load([written(tmp_path, targets={"vertex": vertex})], ["vocabulary_size=32000"]))
    assert (plan.options.preset, plan.options.batch_tokens) == ("big", 65536)
    assert (plan.vocabulary_size, plan.max_tokens) == (32000, 128)
    # The largest that it can become.
    known = training_plan(load([written(tmp_path, targets={"vertex": vertex})], ["vocabulary_size=auto"]))
    assert known.vocabulary_size == 32_000


def test_a_configuration_without_a_tpu_needs_the_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["preflight"]) == 1
    assert "set a slice with --tpu, such as v5e:2x2" in capsys.readouterr().err
    assert main(["preflight", "--tpu", "v6e:2x2"]) == 1
    assert "there is no version 'v6e'" in capsys.readouterr().err
