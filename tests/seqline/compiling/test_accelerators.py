"""A stage with an accelerator runs in the image with libraries for it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.compiling.compiler import compile_pipeline
from seqline.configuration import Configuration
from seqline.errors import UserError


def images(folder: Path, resources: dict[str, Any], pipeline: str = "training", **settings: Any) -> dict[str, str]:
    """Names of the images by executor."""
    configuration = Configuration.model_validate({"resources": resources, **settings})
    path = compile_pipeline(pipeline, folder / "spec.yaml", configuration)
    executors = yaml.safe_load(path.read_text())["deploymentSpec"]["executors"]
    return {
        name.removeprefix("exec-"): one["container"]["image"].rpartition("/")[2].partition(":")[0]
        for name, one in executors.items()
        if "container" in one
    }


@pytest.mark.parametrize(
    "accelerator", ["NVIDIA_TESLA_T4", "NVIDIA_H100_80GB", "nvidia.com/gpu", "nvidia.com/mig-1g.5gb"]
)
@pytest.mark.parametrize(
    ("stage", "pipeline"),
    [("train", "training"), ("export", "training"), ("evaluate", "training"), ("infer", "batch"), ("tune", "tuning")],
)
def test_a_stage_with_a_gpu_has_cuda_and_the_others_have_none(
    stage: str, pipeline: str, accelerator: str, tmp_path: Path
) -> None:
    before = images(tmp_path, {}, pipeline)
    after = images(tmp_path, {stage: {"accelerator_type": accelerator}}, pipeline)
    changed = {name for name in before if before[name] != after[name]}
    assert {name.rstrip("-0123456789") for name in changed} == {stage}
    assert {after[name] for name in changed} == {"train-gpu"}
    assert set(before.values()) <= {"tokenize", "train", "evaluate", "serve", "infer"}


@pytest.mark.parametrize("accelerator", ["TPU_V3", "google.com/tpu"])
def test_a_stage_with_a_tpu_has_its_library(accelerator: str, tmp_path: Path) -> None:
    assert images(tmp_path, {"train": {"accelerator_type": accelerator}})["train"] == "train-tpu"
    assert images(tmp_path, {"tune": {"accelerator_type": accelerator}}, "tuning")["tune"] == "train-tpu"


@pytest.mark.parametrize(
    ("stage", "accelerator", "message"),
    [
        (
            "tokenize",
            "NVIDIA_L4",
            "resources.tokenize.accelerator_type: tokenize does not compute on a GPU; these do: train, ",
        ),
        ("deploy", "nvidia.com/gpu", "resources.deploy.accelerator_type: deploy does not compute on a GPU"),
        (
            "evaluate",
            "TPU_V3",
            "resources.evaluate.accelerator_type: evaluate does not compute on a TPU; these do: train, tune",
        ),
        (
            "train",
            "amd.com/gpu",
            "resources.train.accelerator_type: no image has libraries for 'amd.com/gpu'; write an NVIDIA",
        ),
    ],
)
def test_an_accelerator_that_would_be_idle_is_refused(
    stage: str, accelerator: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        images(tmp_path, {stage: {"accelerator_type": accelerator}})
    assert images(tmp_path, {})[stage]  # kfp is as before


def test_the_image_for_a_gpu_is_pinned_like_any_other(tmp_path: Path) -> None:
    digest = f"sha256:{'1' * 64}"
    pinned = {"repository": "eu.example.org/p", "digests": {"train-gpu": digest}}
    settings = {"images": pinned, "resources": {"train": {"accelerator_type": "NVIDIA_L4"}}}
    path = compile_pipeline("training", tmp_path / "spec.yaml", Configuration.model_validate(settings))
    assert f"image: eu.example.org/p/train-gpu@{digest}\n" in path.read_text()


@pytest.mark.parametrize("accelerator", ["", "NVIDIA_L4"])
def test_the_default_image_of_the_model_server_has_cuda_if_it_serves_on_a_gpu(accelerator: str, tmp_path: Path) -> None:
    serving = {"accelerator_type": accelerator} if accelerator else {}
    configuration = Configuration.model_validate({"images": {"repository": "eu.example.org/p", "tag": "7"}})
    path = compile_pipeline("training", tmp_path / "spec.yaml", configuration, defaults={"serving": serving})
    parameter = yaml.safe_load(path.read_text())["root"]["inputDefinitions"]["parameters"]["serving"]
    expected = f"eu.example.org/p/{'serve-gpu' if accelerator else 'serve'}:7"
    assert parameter["defaultValue"] == {**serving, "image": expected}
