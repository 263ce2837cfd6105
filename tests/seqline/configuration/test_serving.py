"""The default image of the model server has CUDA if it serves on a GPU, wherever the GPU is named."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from seqline.configuration import load
from seqline.configuration.loaded import ConfigurationError
from seqline.configuration.parameters import Parameters

REPOSITORY = "eu.example.org/p"
CPU, GPU = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
MACHINE = {"machine_type": "g2-standard-8"}
L4 = {**MACHINE, "accelerator_type": "NVIDIA_L4"}


def submitted(
    folder: Path,
    default: str,
    images: dict[str, Any] | None = None,
    settings: tuple[str, ...] = (),
    schedule: dict[str, Any] | None = None,
    trigger: dict[str, Any] | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    """The section `serving` that is submitted with a spec whose default image is given."""
    content = {
        "images": {"repository": REPOSITORY, **(images or {})},
        "parameters": parameters,
        "targets": {"vertex": {"project": "a-project", "pipeline_root": "gs://bucket/root"}},
        "schedules": {"s": {"cron": "0 3 * * *", "target": "vertex", "parameters": {"serving": schedule or {}}}},
        "triggers": {"t": {"objects": "gs://bucket/*.tsv", "parameters": {"serving": trigger or {}}}},
    }
    (folder / "seqline.yaml").write_text(json.dumps(content))
    known = Parameters("toy", {"serving": "STRUCT"}, {"serving": {"image": default}})
    loaded = load([folder / "seqline.yaml"], settings)
    chosen = {"schedule": "s" if schedule else "", "trigger": "t" if trigger else ""}
    return dict(loaded.arguments(known, "vertex", **chosen).get("serving", {}))


SET = ("serving.accelerator_type=NVIDIA_L4", "serving.machine_type=g2-standard-8")
WAYS = [
    {"settings": SET},
    {"settings": (f"serving={json.dumps(L4)}",)},
    {"settings": ("accelerator_type=NVIDIA_L4", "machine_type=g2-standard-8")},
    {"schedule": L4},
    {"trigger": L4},
    {"serving": L4},
    {"serving": MACHINE, "settings": SET[:1]},
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "+".join(way))
def test_a_gpu_by_any_way_gets_the_image_for_gpus(way: dict[str, Any], tmp_path: Path) -> None:
    assert submitted(tmp_path, f"{REPOSITORY}/serve:7", **way) == {**L4, "image": f"{REPOSITORY}/serve-gpu:7"}


@pytest.mark.parametrize(
    ("default", "images", "image"),
    [
        (f"{REPOSITORY}/serve:7", {"tag": "7"}, f"{REPOSITORY}/serve-gpu:7"),
        (f"{REPOSITORY}/serve:7", {"tag": "7", "digests": {"serve-gpu": GPU}}, f"{REPOSITORY}/serve-gpu@{GPU}"),
        (f"{REPOSITORY}/serve@{CPU}", {"digests": {"serve": CPU, "serve-gpu": GPU}}, f"{REPOSITORY}/serve-gpu@{GPU}"),
        (f"{REPOSITORY}/serve@{CPU}", {"tag": "7", "digests": {"serve": CPU}}, f"{REPOSITORY}/serve-gpu:7"),
        (f"{REPOSITORY}/serve@{CPU}", {"digests": {"serve": CPU}}, f"{REPOSITORY}/serve-gpu:{version('seqline')}"),
        # An uploaded version of another time, or of another repository.
        (
            f"{REPOSITORY}/serve:6",
            {"tag": "7", "digests": {"serve": CPU, "serve-gpu": GPU}},
            f"{REPOSITORY}/serve-gpu:6",
        ),
        ("us.example.org/q/serve:6", {"tag": "7"}, "us.example.org/q/serve-gpu:6"),
    ],
)
def test_it_is_of_the_same_version(default: str, images: dict[str, Any], image: str, tmp_path: Path) -> None:
    assert submitted(tmp_path, default, images, SET)["image"] == image


def test_without_a_gpu_a_spec_for_gpus_gets_the_image_for_cpus(tmp_path: Path) -> None:
    none = {"accelerator_type": "", "machine_type": "n1-standard-4"}
    assert submitted(tmp_path, f"{REPOSITORY}/serve-gpu:7", schedule=none) == {"image": f"{REPOSITORY}/serve:7"}


@pytest.mark.parametrize("images", [{}, {"digests": {"serve": CPU, "serve-gpu": GPU}}])
def test_an_image_that_is_known_by_another_digest_only_is_refused(images: dict[str, Any], tmp_path: Path) -> None:
    default = f"{REPOSITORY}/serve@sha256:{'3' * 64}"
    with pytest.raises(
        ConfigurationError, match=rf"{default} is for CPUs, and accelerator_type is NVIDIA_L4; set image"
    ):
        submitted(tmp_path, default, images, SET)


@pytest.mark.parametrize("image", ["eu.example.org/own/server:1", f"{REPOSITORY}/serve-gpu:9"])
def test_an_image_of_the_users_own_stays(image: str, tmp_path: Path) -> None:
    assert submitted(tmp_path, f"{REPOSITORY}/serve:7", serving={**L4, "image": image})["image"] == image
    assert submitted(tmp_path, "eu.example.org/own/server:1", serving=L4)["image"] == "eu.example.org/own/server:1"


def test_options_without_a_change_of_the_machine_keep_the_image(tmp_path: Path) -> None:
    assert submitted(tmp_path, f"{REPOSITORY}/serve:7", serving={"max_replicas": 3})["image"] == f"{REPOSITORY}/serve:7"
