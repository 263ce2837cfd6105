"""Tuning with Optuna and real trainings."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline import progress
from seqline.artifacts.tuning import Trial, best_of, read_trials
from seqline.compiling.compiler import parameters_of
from seqline.components.train.options import Options as Training
from seqline.components.tune.options import Options
from seqline.components.tune.plan_trials import stage as plan_stage
from seqline.components.tune.plan_trials.stage import plan_trials
from seqline.components.tune.space import read_space
from seqline.components.tune.stage import tune
from seqline.components.tune.study import Study
from seqline.components.tune.trial import flags
from seqline.configuration.reading import load
from seqline.errors import UserError
from seqline.inputs.mirror import Mirror
from tests.stand_ins.gcsfuse import Mount

SPACE = {"learning_rate": {"min": 0.0002, "max": 0.02, "scale": "log"}}
# Replaces the trainer; its loss is the distance to the best learning rate. As the trainer does, it continues a training
# that was killed: one with the same flags, except the output.
TRAINER = """
import hashlib, json, math, os, signal, sys
from pathlib import Path
flags = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
rate, trial = float(flags["learning_rate"]), os.environ["CLOUD_ML_TRIAL_ID"]
if rate > 0.01:
    sys.exit("error: it exploded")
same = json.dumps({**flags, "output": ""}, sort_keys=True)
state = Path(flags["checkpoints"], hashlib.sha256(same.encode()).hexdigest())
state.parent.mkdir(exist_ok=True)
done = int(state.read_text()) if state.exists() else 0
if done:
    print("continuing at epoch", done + 1)
with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w") as file:
    for epoch in range(done + 1, int(flags["epochs"]) + 1):
        loss = abs(math.log(rate / 0.003)) + 1 / epoch
        print(json.dumps({"valid_loss": str(loss), "global_step": str(epoch)}), file=file, flush=True)
        state.write_text(str(epoch))
        record = {"text": f"epoch {epoch} of {flags['epochs']}", "share": 1.0, "values": {"loss": 1.5}}
        Path(os.environ["SEQLINE_PROGRESS"], "progress.json").write_text(json.dumps(record))
        if f"{trial}.{epoch}" == os.environ.get("WAIT_AT"):
            Path(os.environ["WAITING"]).write_text("here")
            signal.pause()
"""
# The stage's command; only its trials have the other trainer.
COMMAND = """
import os, sys
from seqline.components.tune.stage import tune
from seqline.schema.stage_command import run
os.environ["PYTHONPATH"] = os.environ["TRAINER"]
sys.exit(run(tune))
"""


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer that takes milliseconds, in the processes of the trials."""
    package = tmp_path / "quick" / "seqline" / "components" / "train"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").touch()
    (package / "__main__.py").write_text(TRAINER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "quick"))


def study(folder: Path, trials: int, epochs: int = 2, mirror: Mirror | None = None) -> Study:
    options = Options(trials=trials, trial_epochs=epochs)
    return Study(
        folder,
        Path("corpus"),
        read_space(SPACE),
        options,
        Training(preset="tiny", learning_rate=0.002),
        poll_seconds=0.02,
        mirror=mirror,
    )


@pytest.mark.usefixtures("quick")
def test_a_trial_ignores_modules_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = tmp_path / "hostile"
    (hostile / "components").mkdir(parents=True)
    for file in ("json.py", "math.py", "seqline.py", "components/__init__.py"):
        (hostile / file).write_text("raise SystemExit('error: a module of the current folder was imported')")
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'quick'}{os.pathsep}.")
    (trial,) = study(Path("study"), 1).run()
    assert trial.state == "succeeded"
    log = (hostile / "study" / "trial-0000" / "log.txt").read_text()
    assert log == ""


@pytest.mark.usefixtures("quick")
def test_the_first_trial_has_the_given_options_and_the_best_is_no_worse(tmp_path: Path) -> None:
    trials = study(tmp_path / "study", 8).run()
    assert trials[0].parameters == {"learning_rate": 0.002}
    best = best_of(trials)
    assert best.value is not None
    assert best.value <= trials[0].value
    assert len(trials) == 8


@pytest.mark.usefixtures("quick")
def test_the_search_says_which_trial_runs_and_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FILE_SECONDS", 0.0)
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress"))
    study(tmp_path, trials=1).run()
    assert str(progress.newest(tmp_path / "progress")) == "trial 1 of 1, epoch 2 of 2, loss 1.5"


@pytest.mark.usefixtures("quick")
def test_more_trials_resume_a_study_without_repeating_values(tmp_path: Path) -> None:
    first = study(tmp_path / "study", 3).run()
    trials = study(tmp_path / "study", 6).run()
    assert trials[:3] == first
    assert len({trial.parameters["learning_rate"] for trial in trials}) == 6


@pytest.mark.usefixtures("quick")
@pytest.mark.timeout(120)
def test_a_trial_that_falls_behind_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = study(tmp_path / "study", 5, epochs=5)
    for rate in (0.0031, 0.00305, 0.003, 0.0003):
        one.study.enqueue_trial({"learning_rate": rate})
    # Nobody reads there: the trial waits after its second epoch until it is stopped.
    os.mkfifo(tmp_path / "waiting")
    monkeypatch.setenv("WAITING", str(tmp_path / "waiting"))
    monkeypatch.setenv("WAIT_AT", "4.2")
    trials = one.run()
    assert [trial.state for trial in trials] == [*["succeeded"] * 4, "pruned"]
    assert list(trials[4].epochs) == [1, 2]
    # Of the trainer, which deletes none.
    assert not (tmp_path / "study" / "checkpoints").exists()


@pytest.mark.usefixtures("quick")
def test_working_states_stay_while_a_trial_waits_that_may_resume_one(tmp_path: Path) -> None:
    one = study(tmp_path / "study", 1)
    # As after a search was killed twice: the first trial, and another one.
    one.study.enqueue_trial({"learning_rate": 0.003})
    state = tmp_path / "study" / "checkpoints" / "0123"
    state.mkdir(parents=True)
    one.run()
    assert state.exists()
    study(tmp_path / "study", 2).run()
    assert not state.exists()


def test_the_working_states_in_a_bucket_are_removed_too(s3_bucket: Any, tmp_path: Path) -> None:
    mirror = Mirror(f"s3://{s3_bucket.name}/study", tmp_path / "study")
    one = study(mirror.path, 1, mirror=mirror)
    for name in ("checkpoints/0123/state-00000001.npz", "checkpoints/0123/state-00000002.npz", "checkpoints-of-others"):
        s3_bucket.client.put_object(Bucket=s3_bucket.name, Key=f"study/{name}", Body=b"")
    (trial,) = one.run()
    assert trial.state == "failed"  # there is no such corpus
    keys = sorted(s3_bucket.store.keys(s3_bucket.name, ""))
    assert keys == ["study/checkpoints-of-others", "study/study.journal"]


@pytest.mark.usefixtures("quick")
def test_a_failed_trial_is_tolerated_unless_the_first_three_fail(tmp_path: Path) -> None:
    one = study(tmp_path / "study", 2)
    one.study.enqueue_trial({"learning_rate": 0.015})
    assert [trial.state for trial in one.run()] == ["succeeded", "failed"]
    other = Study(
        tmp_path / "other", Path("corpus"), read_space({"learning_rate": {"min": 0.011, "max": 0.02}}), Options(),
        Training(preset="tiny"), poll_seconds=0.02,
    )  # fmt: skip
    with pytest.raises(UserError, match="the first 3 trials all failed: error: it exploded"):
        other.run()


def test_a_trial_is_trained_with_every_option_and_the_budget_of_the_search() -> None:
    training = Training(architecture="gpt", monitor="bleu", weight_decay=0.01, epochs=50, minutes=9, preset="small")
    given = dict(flag[2:].split("=", 1) for flag in flags("corpus", Options(trial_epochs=3), training, "champion"))
    assert set(given) == {"corpus", "warm_start", *Training.model_fields}
    assert (given["architecture"], given["weight_decay"], given["preset"]) == ("gpt", "0.01", "small")
    assert (given["epochs"], given["minutes"], given["patience"], given["monitor"]) == ("3", "0.0", "0", "loss")
    assert given["warm_start"] == "champion"


def test_preset_auto_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="preset auto is selected when training starts; set preset"):
        tune(corpus, tmp_path / "tuning", tmp_path / "report.html", training=Training(preset="auto"))
    with pytest.raises(UserError, match="dropout auto is selected when training starts; set dropout for tuning"):
        tune(corpus, tmp_path / "tuning", tmp_path / "report.html", training=Training(preset="tiny", dropout="auto"))
    assert not list(tmp_path.glob("*tuning*"))


def test_no_trial_is_the_best_if_none_finished() -> None:
    with pytest.raises(UserError, match="none of the 1 trials finished"):
        best_of([Trial(0, "pruned", {}, 1.0)])


@pytest.mark.usefixtures("quick")
def test_the_stage_returns_training_options_and_writes_them_as_a_configuration(corpus: Path, tmp_path: Path) -> None:
    options, training = Options(space=SPACE, trials=4, trial_epochs=2), Training(preset="demo", seed=7)
    best, loss = tune(corpus, tmp_path / "tuning", tmp_path / "report.html", options=options, training=training)
    trial = best_of(read_trials(tmp_path / "tuning"))
    assert loss == trial.value
    assert best == training.with_values(**trial.parameters)
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({"parameters": {"training": {"preset": "demo"}}}))
    loaded = load([tmp_path / "base.yaml", tmp_path / "tuning" / "best.yaml"])
    values = loaded.arguments(parameters_of("training"), "laptop")
    assert Training(**values["training"]) == Training(preset="demo", learning_rate=best.learning_rate)


def test_the_plan_for_vertex_ai_has_the_number_of_trials_and_the_search_space(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = {"machine_spec": {}, "container_spec": {"image_uri": "train"}}
    training = Training(preset="tiny", learning_rate=0.004)
    monkeypatch.setattr(plan_stage, "check_start", lambda *_: None)
    plan = plan_trials("/gcs/corpus", worker, "champion", Options(space=SPACE, trials=7), training)
    assert plan.trials == 7
    assert [(one["parameter_id"], one["double_value_spec"]["default_value"]) for one in plan.parameters] == [
        ("learning_rate", 0.004)
    ]
    (pool,) = plan.worker_pool_specs
    assert pool["container_spec"]["args"] == flags("/gcs/corpus", Options(), training, "champion")


def test_trials_of_an_older_version_are_read_and_of_a_newer_one_refused(tmp_path: Path) -> None:
    file = tmp_path / "trials.jsonl"
    line = {"number": 0, "state": "succeeded", "parameters": {"dropout": 0.2}, "value": 1.5, "epochs": {"1": 1.5}}
    file.write_text(json.dumps(line) + "\n")
    assert read_trials(tmp_path) == [Trial(0, "succeeded", {"dropout": 0.2}, 1.5, {1: 1.5})]
    file.write_text(json.dumps({**line, "schema_version": 3}) + "\n")
    with pytest.raises(UserError, match=r"line 1 has schema version 3, and this Seqline reads 1 to 2; tune again"):
        read_trials(tmp_path)
    file.unlink()
    with pytest.raises(UserError, match=r"trials.jsonl is missing; tune again"):
        read_trials(tmp_path)


@pytest.mark.usefixtures("quick")
def test_a_killed_search_resumes_with_its_trial(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINER", os.environ["PYTHONPATH"])
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setenv("WAITING", str(tmp_path / "waiting"))
    os.mkfifo(tmp_path / "waiting")
    command = [
        sys.executable, "-c", COMMAND, f"--corpus={corpus}", f"--tuning={tmp_path}/tuning",
        f"--report={tmp_path}/report.html", f"--space={json.dumps(SPACE)}", f"--checkpoints={tmp_path}/work",
        "--trials=3", "--trial_epochs=3", "--preset=tiny",
    ]  # fmt: skip
    environment = {**os.environ, "WAIT_AT": "1.2"}
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, env=environment)
    with contextlib.ExitStack() as stack:
        stack.callback(process.wait)
        stack.callback(os.killpg, process.pid, signal.SIGKILL)
        waiting = os.open(tmp_path / "waiting", os.O_RDONLY | os.O_NONBLOCK)
        stack.callback(os.close, waiting)
        assert select.select([waiting], [], [], 120)[0], "trial 1 did not reach its second epoch"
        second = subprocess.run(command, check=False, capture_output=True, text=True)
        assert second.returncode == 1
        assert f"process {process.pid} on {os.uname().nodename} is tuning with the same data" in second.stderr
    assert not (tmp_path / "tuning").exists()
    again = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True)
    assert "trial 1 was killed; it resumes as a new trial" in again.stderr
    trials = read_trials(tmp_path / "tuning")
    assert [trial.number for trial in trials] == [0, 2, 3]
    logs = {path.parent.name: path.read_text() for path in tmp_path.glob("work/tuning-*/trial-*/log.txt")}
    assert [name for name, log in sorted(logs.items()) if log == "continuing at epoch 3\n"] == ["trial-0002"]
    assert not list(tmp_path.glob("work/tuning-*/checkpoints"))
    best = best_of(trials)
    assert yaml.safe_load((tmp_path / "tuning" / "best.yaml").read_text()) == {
        "parameters": {"training": {"preset": "tiny", **best.parameters}}
    }
    assert f"trial {best.number}" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("quick")
def test_a_study_in_a_bucket_resumes(mount: Mount, bucket: Path) -> None:
    first = study(bucket / "study", 2).run()
    mount.forget_empty_folders()
    for operation in ("open", "flush"):
        mount.fail(operation, f"{bucket.name}/study/study.journal")
        mount.fail(operation, f"{bucket.name}/study/.study.journal.*")
    trials = study(bucket / "study", 3).run()
    assert trials[:2] == first
    assert [trial.state for trial in trials] == ["succeeded"] * 3
    assert (bucket / "study" / "study.journal").read_text().count("\n") > 10
