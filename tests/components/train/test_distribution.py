import contextlib
import json
import signal
import socket
from collections.abc import Callable
from inspect import signature
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from seqline.accelerators import REQUIRED
from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.evaluate.stage import evaluate
from seqline.components.export.stage import export
from seqline.components.infer.stage import infer
from seqline.components.train.buckets import rows_of
from seqline.components.train.devices import choose_strategy
from seqline.components.train.options import Options
from seqline.components.train.preflight.plan import plan_without_corpus
from seqline.components.train.stage import train
from seqline.components.tune.stage import tune
from seqline.errors import UserError
from tests import forked
from tests.components.train import process


def losses(checkpoint: Path) -> list[float]:
    history = json.loads(Checkpoint(checkpoint).history.read_text())
    return [entry[name] for entry in history for name in ("loss", "valid_loss")]


def start(corpus: Path, folder: Path, options: Options, *moment: int, log: str, **environment: str) -> BaseProcess:
    """Starts a training process; its output is appended to a file."""
    folder.mkdir(exist_ok=True)
    arguments = (str(corpus), str(folder), options.model_dump_json(), *moment)
    return forked.start(folder / log, process.main, *arguments, **environment)


class Cluster:
    """Two workers; the cluster holds their ports as long as it lives, and they share them with it."""

    def __init__(self, corpus: Path, folder: Path, options: Options, **environment: str) -> None:
        self.corpus, self.folder, self.options, self.environment = corpus, folder, options, environment
        self.processes: list[BaseProcess] = []
        self.sockets = [socket.socket() for _ in range(2)]
        for one in self.sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(("127.0.0.1", 0))

    def start(self, task: int, *moment: int) -> BaseProcess:
        """Starts a worker."""
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in self.sockets]
        config = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": task}})
        environment = {"TF_CONFIG": config, "TF_GRPC_REUSE_PORT": "1", **self.environment}
        self.processes.append(start(self.corpus, self.folder, self.options, *moment, log=f"{task}.txt", **environment))
        return self.processes[-1]

    def log(self, task: int) -> str:
        """The output of a worker."""
        return (self.folder / f"{task}.txt").read_text()

    def close(self) -> None:
        """Ends the workers and frees the ports."""
        for one in self.processes:
            one.kill()
            one.join()
        for bound in self.sockets:
            bound.close()


@forked.FORKED
@pytest.mark.e2e(seconds=80)
def test_two_workers_of_which_one_was_killed_train_to_the_losses_of_one_process(
    corpus: Path, undisturbed: Path, plain: Options, tmp_path: Path
) -> None:
    options = plain.with_values(decoded_sample=4)
    with contextlib.closing(Cluster(corpus, tmp_path / "together", options)) as cluster:
        chief, other = cluster.start(0), cluster.start(1, signal.SIGKILL, 1, 4)
        assert forked.exit_code(other) == -signal.SIGKILL, cluster.log(1)[-2000:]
        # A job ends all workers when one is lost, and starts them again.
        chief.kill()
        chief.join()
        assert not (cluster.folder / "checkpoint").exists()
        for worker in [cluster.start(task) for task in range(2)]:
            assert forked.exit_code(worker) == 0, cluster.log(0)[-2000:]
        for task in range(2):
            assert "continuing at epoch 1, batch 4" in cluster.log(task)
    assert losses(cluster.folder / "checkpoint") == pytest.approx(losses(undisturbed), 1e-3)


@forked.FORKED
@pytest.mark.e2e(seconds=25)
def test_two_devices_of_one_machine_train_to_the_losses_of_one(
    corpus: Path, undisturbed: Path, plain: Options, tmp_path: Path
) -> None:
    mirrored = start(corpus, tmp_path, plain, log="log.txt", MIRRORED="1")
    assert forked.exit_code(mirrored) == 0, (tmp_path / "log.txt").read_text()[-2000:]
    assert losses(tmp_path / "checkpoint") == pytest.approx(losses(undisturbed), 1e-3)


@forked.FORKED
@pytest.mark.e2e(seconds=60)
def test_two_workers_and_two_devices_train_the_adapters_of_one_process(
    corpus: Path, undisturbed: Path, plain: Options, tmp_path: Path
) -> None:
    options = plain.with_values(fine_tuning="lora", lora_rank=3, lora_alpha=6.0, learning_rate=0.01, epochs=1)
    environment = {"WARM_START": str(undisturbed)}
    one, mirrored = (
        start(corpus, tmp_path / name, options, log="log.txt", **environment, **more)
        for name, more in (("one", {}), ("mirrored", {"MIRRORED": "1"}))
    )
    with contextlib.closing(Cluster(corpus, tmp_path / "workers", options, **environment)) as cluster:
        for task, worker in enumerate([cluster.start(0), cluster.start(1)]):
            assert forked.exit_code(worker) == 0, cluster.log(task)[-2000:]
    for process_, name in ((one, "one"), (mirrored, "mirrored")):
        assert forked.exit_code(process_) == 0, (tmp_path / name / "log.txt").read_text()[-2000:]
    alone, *together = (losses(tmp_path / name / "checkpoint") for name in ("one", "mirrored", "workers"))
    assert alone != losses(undisturbed)[-2:]
    for found in together:
        assert found == pytest.approx(alone, 1e-3)
    adapter = Checkpoint(tmp_path / "workers" / "checkpoint").adapter
    assert {file.name for file in adapter.iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}


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


def test_a_missing_tpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="devices is tpu, but no TPU can be used"):
        choose_strategy("tpu")
    monkeypatch.setenv(REQUIRED, "TPU")
    with pytest.raises(UserError, match="this image is for TPUs, but none can be used"):
        choose_strategy("auto")


def test_all_gpus_of_a_machine_without_one_are_not_its_cpu() -> None:
    with pytest.raises(
        UserError, match=r"devices is mirrored, which is all GPUs, but .*; use a GPU machine or set devices"
    ):
        choose_strategy("mirrored")


@pytest.mark.parametrize("devices", ["auto", "one", "mirrored", "workers", "tpu"])
def test_an_image_for_gpus_does_not_train_on_the_cpu(devices: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "GPU")
    with pytest.raises(UserError, match="this image is for GPUs, but"):
        choose_strategy(devices)


@pytest.mark.parametrize("devices", ["one", "mirrored", "workers"])
def test_an_image_for_tpus_does_not_train_on_the_cpu(devices: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "TPU")
    with pytest.raises(
        UserError, match=f"devices is {devices}, but this image trains on a TPU; set devices to auto or"
    ):
        choose_strategy(devices)


@pytest.mark.parametrize("stage", [train, export, evaluate, infer, tune])
def test_every_stage_in_the_image_for_gpus_looks_for_one_before_anything_else(
    stage: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRED, "GPU")
    needed = [one for one in signature(stage).parameters.values() if one.default is one.empty]
    with pytest.raises(UserError, match="this image is for GPUs, but"):
        stage(*(tmp_path / one.name if one.annotation is Path else str(tmp_path / one.name) for one in needed))
