import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.train.buckets import rows_of
from seqline.components.train.devices import choose_strategy
from seqline.components.train.options import Options
from seqline.components.train.preflight.plan import plan_without_corpus
from seqline.errors import UserError


def losses(checkpoint: Path) -> list[float]:
    history = json.loads(Checkpoint(checkpoint).history.read_text())
    return [entry[name] for entry in history for name in ("loss", "valid_loss")]


def start(corpus: Path, folder: Path, cluster: list[str] | None = None, task: int = 0) -> subprocess.Popen[bytes]:
    """Starts a training process, as one of the workers of a cluster if there is one; its output is in a file."""
    environment = dict(os.environ)
    if cluster:
        config = {"cluster": {"worker": cluster}, "task": {"type": "worker", "index": task}}
        environment["TF_CONFIG"] = json.dumps(config)
    command = [
        sys.executable,
        "-m",
        "seqline.components.train",
        f"--corpus={corpus}",
        f"--output={folder / 'checkpoint'}",
    ]
    command += [f"--checkpoints={folder / 'states'}", "--preset=demo", "--epochs=3", "--batch_tokens=256"]
    command += ["--dropout=0", "--patience=0", "--decoded_sample=4"]
    folder.mkdir(exist_ok=True)
    with (folder / f"log-{task}.txt").open("a") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def start_two(corpus: Path, folder: Path) -> list[subprocess.Popen[bytes]]:
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    cluster = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return [start(corpus, folder, cluster, task) for task in range(2)]


@pytest.mark.e2e
def test_two_workers_of_which_one_was_killed_train_to_the_losses_of_one_process(corpus: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert start(corpus, alone).wait(200) == 0, (alone / "log-0.txt").read_text()[-2000:]
    chief, other = start_two(corpus, together)
    deadline = time.monotonic() + 120
    while not list((together / "states").glob("*/state-*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    other.kill()
    # A job ends all workers when one is lost, and starts them again.
    chief.kill()
    other.wait()
    chief.wait()
    assert not (together / "checkpoint").exists()
    for worker in start_two(corpus, together):
        assert worker.wait(200) == 0, (together / "log-0.txt").read_text()[-2000:]
    for task in range(2):
        assert "continuing at epoch" in (together / f"log-{task}.txt").read_text()
    assert losses(together / "checkpoint") == pytest.approx(losses(alone / "checkpoint"), 1e-3)


@pytest.mark.e2e
def test_two_devices_of_one_machine_train_to_the_losses_of_one(corpus: Path, tmp_path: Path) -> None:
    program = f"""
import sys
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * int(sys.argv[1]))
from pathlib import Path
import seqline.components.train.devices as devices
from seqline.components.train.options import Options
from seqline.components.train.stage import train
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


def test_workers_without_a_cluster_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match="devices is workers, but TF_CONFIG names none"):
        choose_strategy("workers")
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(UserError, match="TF_CONFIG is not JSON"):
        choose_strategy("auto")


def test_accumulation_over_several_devices_is_refused() -> None:
    options = Options(gradient_accumulation_steps=2)
    options.check_replicas(1)
    with pytest.raises(UserError, match=r"gradient_accumulation_steps is 2, but 4 devices train.*raise batch_tokens"):
        options.check_replicas(4)
    with pytest.raises(UserError, match="gradient_accumulation_steps is 2, but 4 devices train"):
        plan_without_corpus(options, vocabulary_size=100, max_tokens=16, replicas=4)


def test_a_missing_tpu_is_named() -> None:
    with pytest.raises(UserError, match="devices is tpu, but no TPU can be used"):
        choose_strategy("tpu")
