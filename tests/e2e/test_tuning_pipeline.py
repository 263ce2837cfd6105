"""The compiled tuning pipeline on a laptop: a search of two trials, and a model trained with the best."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.evaluation import read_evaluation
from seqline.artifacts.tuning import best_of, read_trials
from seqline.compiling.compiler import compile_pipeline
from seqline.components.train.options import Options as Training
from seqline.targets.laptop import Home, run

SMALL: dict[str, Any] = {
    "corpus": {"vocabulary_size": 300},
    "training": {
        "preset": "demo", "epochs": 1, "batch_tokens": 512, "precision": "float32", "decoded_sample": 0,
        "learning_rate": 1e-5, "warmup_steps": 1,
    },
    # The second trial learns, the first one, with the given rate, hardly does.
    "tuning": {
        "trials": 2, "trial_epochs": 1, "space": {"learning_rate": {"min": 1e-5, "max": 1e-2, "scale": "log"}}
    },
    "decoding": {"beam_size": 1, "max_output_length": 8},
}  # fmt: skip


@pytest.mark.e2e(seconds=80)
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("shared_stage_servers")
def test_the_model_is_trained_with_the_options_of_the_best_trial(pairs_file: Path, tmp_path: Path) -> None:
    lines = pairs_file.read_text(encoding="utf-8").splitlines(keepends=True)[:150]
    (tmp_path / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
    spec = compile_pipeline("tuning", tmp_path / "tuning.yaml")
    home = Home(tmp_path / "home")
    result = run(spec, {**SMALL, "data": str(tmp_path / "pairs.tsv"), "checkpoints": str(home.checkpoints)}, home)

    assert result.error == ""
    states = {task.name: task.state for task in result.tasks}
    stages = ("snapshot", "tokenize", "tune", "train", "export", "evaluate", "summarize")
    assert states == dict.fromkeys(stages, "succeeded")
    trials = read_trials(result.folder / "tune" / "tuning")
    assert [trial.state for trial in trials] == ["succeeded", "succeeded"]
    assert trials[0].parameters == {"learning_rate": SMALL["training"]["learning_rate"]}
    best = best_of(trials)
    assert best.number == 1
    written = yaml.safe_load((result.folder / "tune" / "tuning" / "best.yaml").read_text(encoding="utf-8"))
    assert written == {"parameters": {"training": {"preset": "demo", **best.parameters}}}

    config = Checkpoint(result.folder / "train" / "checkpoint").read_config()
    assert config.options == Training(**{**SMALL["training"], **best.parameters}).model_dump()
    # With equal options and as many epochs, training repeats the trial.
    (epoch,) = json.loads(Checkpoint(result.folder / "train" / "checkpoint").history.read_text(encoding="utf-8"))
    assert epoch["valid_loss"] == pytest.approx(best.value, rel=1e-3)
    assert read_evaluation(result.folder / "evaluate" / "evaluation").metrics["bleu"].value >= 0
    assert (result.folder / "export" / "model" / "saved_model.pb").exists()
