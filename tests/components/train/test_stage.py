import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.errors import UserError
from components.train.checkpoint import Checkpoint
from components.train.stage import Options, train


def test_a_checkpoint_is_complete_and_training_learns(checkpoint: Path) -> None:
    history = json.loads(Checkpoint(checkpoint).history.read_text())
    assert Checkpoint(checkpoint).read_config()["model"]["encoder_layers"] == 2
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert history[1]["valid_loss"] < history[0]["valid_loss"]
    assert list(Checkpoint(checkpoint).logs.glob("events*"))
    assert [path.name for path in checkpoint.parent.iterdir() if "state" in path.name] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"dropout": 1.5}, "dropout must be at least 0 and below 1, not 1.5"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"precision": "int4"}, "precision must be auto, float32 or bfloat16, not 'int4'"),
    ],
)
def test_a_wrong_option_names_itself(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as error:
        Options(**options)  # type: ignore[arg-type]
    assert message in str(error.value)


def test_an_unknown_preset_leaves_nothing_behind(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no preset 'tinny'; did you mean 'tiny'"):
        train(corpus, tmp_path / "out", options=Options(preset="tinny"))
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_stops_training_and_says_where(corpus: Path, tmp_path: Path) -> None:
    options = Options(preset="demo", learning_rate=1e30, warmup_steps=0, batch_tokens=256, epochs=3)
    with pytest.raises(UserError, match=r"the loss is not a number any more at epoch \d+, batch \d+"):
        train(corpus, tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


@pytest.mark.e2e
@pytest.mark.parametrize("killer", [signal.SIGKILL, signal.SIGTERM])
def test_training_that_was_killed_continues_to_the_same_end(
    corpus: Path, tmp_path: Path, killer: signal.Signals
) -> None:
    command = [sys.executable, "-m", "components.train", "--corpus", str(corpus)]
    command += ["--preset", "demo", "--epochs", "4", "--batch_tokens", "256", "--patience", "0"]
    environment = {**os.environ, "TF_DETERMINISTIC_OPS": "1"}

    def arguments(name: str) -> list[str]:
        return [*command, "--output", str(tmp_path / name), "--checkpoints", str(tmp_path / f"{name}.state")]

    subprocess.run(arguments("whole"), check=True, env=environment)
    process = subprocess.Popen(arguments("killed"), env=environment)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed.state").glob("*/state-*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(killer)
    process.wait()
    assert not (tmp_path / "killed").exists()
    again = subprocess.run(arguments("killed"), check=True, env=environment, capture_output=True, text=True)
    assert "continuing at epoch" in again.stdout + again.stderr

    whole, killed = (json.loads(Checkpoint(tmp_path / name).history.read_text()) for name in ("whole", "killed"))
    assert [entry["epoch"] for entry in killed] == [1, 2, 3, 4]
    for one, other in zip(whole, killed, strict=True):
        assert one["valid_loss"] == pytest.approx(other["valid_loss"], rel=1e-3)
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
