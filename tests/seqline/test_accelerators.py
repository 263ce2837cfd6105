"""An image for GPUs computes on GPUs, or not at all."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from seqline import accelerators
from seqline.accelerators import MACHINES, REQUIRED, require_gpu
from seqline.components.deploy.options import Options
from seqline.configuration.resources import Resources
from seqline.configuration.vertex import TrainingJob
from seqline.errors import UserError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Replaces TensorFlow and the machine's driver."""

    def replace(gpus: int, driver: bool = True, cuda: bool = True) -> None:
        tensorflow = ModuleType("tensorflow")
        tensorflow.__version__ = "2.21.0"  # type: ignore[attr-defined]
        tensorflow.config = SimpleNamespace(list_physical_devices=lambda kind: [kind] * gpus)  # type: ignore[attr-defined]
        tensorflow.test = SimpleNamespace(is_built_with_cuda=lambda: cuda)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
        monkeypatch.setattr(accelerators, "DRIVER", tmp_path if driver else tmp_path / "none")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return replace


def test_an_image_for_cpus_asks_for_nothing(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine(gpus=0)
    monkeypatch.delenv(REQUIRED, raising=False)
    require_gpu()


@pytest.mark.parametrize(
    ("found", "hidden", "logged"),
    [({}, "", True), ({"driver": False}, "", False), ({"gpus": 1}, "", False), ({}, "-1", False)],
)
def test_an_idle_gpu_of_the_machine_is_logged_in_an_image_for_cpus(
    machine: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    found: dict[str, int],
    hidden: str,
    logged: bool,
) -> None:
    machine(**{"gpus": 0, "cuda": False, **found})
    monkeypatch.delenv(REQUIRED, raising=False)
    if hidden:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    require_gpu()
    assert ("TensorFlow uses the CPU only: TensorFlow 2.21.0 is built for CPUs here" in caplog.text) == logged


def test_a_visible_gpu_is_enough(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine(gpus=1)
    monkeypatch.setenv(REQUIRED, "GPU")
    require_gpu()


@pytest.mark.parametrize(
    ("found", "hidden", "reason"),
    [
        ({"driver": False}, None, "this machine has no NVIDIA driver; request a GPU for the task"),
        ({"cuda": False}, None, "TensorFlow 2.21.0 is built for CPUs here, although there is an NVIDIA driver"),
        ({}, None, "TensorFlow cannot load CUDA, although there is a driver"),
        ({}, "-1", "CUDA_VISIBLE_DEVICES=-1 hides every GPU"),
    ],
)
def test_without_a_gpu_the_error_says_why(
    machine: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    found: dict[str, bool],
    hidden: str | None,
    reason: str,
) -> None:
    machine(gpus=0, **found)
    monkeypatch.setenv(REQUIRED, "GPU")
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    with pytest.raises(UserError, match=f"this image is for GPUs, but {reason}"):
        require_gpu()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("nvidia-l4", "NVIDIA_L4"),
        ("NVIDIA_TESLA_T4", "NVIDIA_TESLA_T4"),
        ("Nvidia-Tesla-T4", "NVIDIA_TESLA_T4"),
        ("tpu-v3", "TPU_V3"),
        ("nvidia.com/gpu", "nvidia.com/gpu"),
        ("google.com/tpu", "google.com/tpu"),
        ("", ""),
    ],
)
def test_an_accelerator_has_one_spelling_wherever_it_is_written(given: str, name: str) -> None:
    assert Resources(accelerator_type=given).accelerator_type == name
    if not name.startswith("google"):
        assert TrainingJob(accelerator_type=given).accelerator_type == name
    if name in MACHINES or "/gpu" in name:
        machine = {"NVIDIA_L4": "g2-standard-8"}.get(name, "n1-standard-8")
        assert Options(accelerator_type=given, machine_type=machine).accelerator_type == name
