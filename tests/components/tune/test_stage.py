"""Tuning with Optuna and real trainings."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from seqline.components.tune.budget import Budget

from seqline.artifacts.tuning import Trial, best_of, read_trials
from seqline.components.train.options import Options
from seqline.components.tune.space import read_space
from seqline.components.tune.stage import tune
from seqline.components.tune.study import Study
from seqline.components.tune.trial import flags
from seqline.errors import UserError

SPACE = {"learning_rate": {"min": 0.0002, "max": 0.02, "scale": "log"}}
# Stands for the trainer where the study is what is tested: its loss is the distance to the best learning rate.
TRAINER = """
import json, math, os, sys, time
flags = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
rate = float(flags["learning_rate"])
if rate > 0.01:
    sys.exit("error: it exploded")
with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w") as file:
    for epoch in range(1, int(flags["epochs"]) + 1):
        loss = abs(math.log(rate / 0.003)) + 1 / epoch
        print(json.dumps({"valid_loss": str(loss), "global_step": str(epoch)}), file=file, flush=True)
        time.sleep(float(os.environ.get("PAUSE", 0)))
"""


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "quick" / "components" / "train"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "__main__.py").write_text(TRAINER)
    monkeypatch.chdir(package.parent.parent)


def study(folder: Path, trials: int, epochs: int = 2) -> Study:
    budget = Budget(trials=trials, trial_epochs=epochs)
    return Study(folder, Path("corpus"), read_space(SPACE), budget, Options(), poll_seconds=0.02)


@pytest.mark.usefixtures("quick")
def test_the_first_trial_is_what_was_given_and_the_best_is_no_worse(tmp_path: Path) -> None:
    trials = study(tmp_path / "study", 8).run()
    assert trials[0].parameters == {"learning_rate": 0.002}
    best = best_of(trials)
    assert best.value is not None
    assert best.value <= trials[0].value
    assert len(trials) == 8


@pytest.mark.usefixtures("quick")
def test_more_trials_continue_a_study_and_try_nothing_twice(tmp_path: Path) -> None:
    first = study(tmp_path / "study", 3).run()
    trials = study(tmp_path / "study", 6).run()
    assert trials[:3] == first
    assert len({trial.parameters["learning_rate"] for trial in trials}) == 6


@pytest.mark.usefixtures("quick")
def test_a_trial_that_falls_behind_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAUSE", "0.1")
    one = study(tmp_path / "study", 5, epochs=5)
    for rate in (0.0031, 0.00305, 0.003, 0.0003):
        one.study.enqueue_trial({"learning_rate": rate})
    trials = one.run()
    assert [trial.state for trial in trials] == [*["succeeded"] * 4, "pruned"]
    assert len(trials[4].epochs) < 5


@pytest.mark.usefixtures("quick")
def test_a_failed_trial_is_one_of_many_but_not_the_first_three(tmp_path: Path) -> None:
    one = study(tmp_path / "study", 2)
    one.study.enqueue_trial({"learning_rate": 0.015})
    assert [trial.state for trial in one.run()] == ["succeeded", "failed"]
    other = Study(
        tmp_path / "other", Path("corpus"), read_space({"learning_rate": {"min": 0.011, "max": 0.02}}), Budget(),
        Options(), poll_seconds=0.02,
    )  # fmt: skip
    with pytest.raises(UserError, match="the first 3 trials all failed: error: it exploded"):
        other.run()


def test_a_trial_is_trained_with_every_option_and_only_the_search_s_own_length() -> None:
    options = Options(architecture="gpt", monitor="bleu", weight_decay=0.01, epochs=50, minutes=9, preset="small")
    told = dict(flag[2:].split("=", 1) for flag in flags("corpus", Budget(trial_epochs=3), options, "champion"))
    assert set(told) == {"corpus", "warm_start", *(field.name for field in fields(Options))}
    assert (told["architecture"], told["weight_decay"], told["preset"]) == ("gpt", "0.01", "small")
    assert (told["epochs"], told["minutes"], told["patience"], told["monitor"]) == ("3", "0.0", "0", "loss")
    assert told["warm_start"] == "champion"


def test_no_search_with_a_preset_that_the_last_training_may_choose_otherwise(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="preset auto is chosen when training starts; name the preset"):
        tune(corpus, tmp_path / "tuning", tmp_path / "report.html", {}, options=Options(preset="auto"))
    assert not list(tmp_path.glob("*tuning*"))


def test_nothing_is_best_where_no_trial_ran_to_its_end() -> None:
    with pytest.raises(UserError, match="none of the 1 trials ran to its end"):
        best_of([Trial(0, "pruned", {}, 1.0)])


@pytest.mark.e2e
def test_a_killed_search_continues_and_its_trial_too(corpus: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "seqline.components.tune", f"--corpus={corpus}", f"--tuning={tmp_path}/tuning",
        f"--report={tmp_path}/report.html", f"--space={json.dumps(SPACE)}", f"--checkpoints={tmp_path}/work",
        "--trials=3", "--trial_epochs=3", "--preset=demo", "--batch_tokens=512",
    ]  # fmt: skip
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("work/tuning-*/trial-0001/metrics.jsonl")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
    assert "trial 1 was killed; it goes on as another" in again.stderr
    trials = read_trials(tmp_path / "tuning")
    assert [trial.number for trial in trials] == [0, 2, 3]
    log = next(tmp_path.glob("work/tuning-*/trial-0002/log.txt")).read_text()
    assert "continuing at epoch" in log
    best = best_of(trials)
    assert yaml.safe_load((tmp_path / "tuning" / "best.yaml").read_text())["parameters"] == best.parameters
    assert f"trial {best.number}" in (tmp_path / "report.html").read_text()
