import json
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import UserError
from components.train.batches import rows_of
from components.train.checkpoint import Checkpoint
from components.train.devices import choose_strategy


def losses(checkpoint: Path) -> list[float]:
    history = json.loads(Checkpoint(checkpoint).history.read_text())
    return [entry[name] for entry in history for name in ("loss", "valid_loss")]


@pytest.mark.e2e
def test_two_devices_of_one_machine_train_to_the_losses_of_one(corpus: Path, tmp_path: Path) -> None:
    program = f"""
import sys
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * int(sys.argv[1]))
from pathlib import Path
import components.train.devices as devices
from components.train.stage import Options, train
if sys.argv[1] == "2":
    devices.choose_strategy = lambda _: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
options = Options(preset="demo", epochs=2, batch_tokens=256, dropout=0.0, decoded_sample=0)
train(Path({str(corpus)!r}), Path(sys.argv[2]), options=options)
"""
    for devices in ("1", "2"):
        subprocess.run([sys.executable, "-c", program, devices, str(tmp_path / devices)], check=True)
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "1"), 1e-3)


def test_replicas_share_the_batches_of_one_device() -> None:
    for most in (8, 60, 85, 170):
        assert {rows_of(most, replicas) for replicas in (1, 2, 4, 8)} == {most // 8 * 8}
    assert rows_of(2, 4) == 4
    assert rows_of(5, 1) == 5
    assert rows_of(85, 3) % 3 == 0


def test_workers_without_a_cluster_name_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match="devices is workers, but TF_CONFIG names none"):
        choose_strategy("workers")
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(UserError, match="names 2 workers, and training on several machines does not work yet"):
        choose_strategy("auto")
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(UserError, match="TF_CONFIG is not JSON"):
        choose_strategy("auto")


def test_a_tpu_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match="devices is tpu, but no TPU can be used"):
        choose_strategy("tpu")
