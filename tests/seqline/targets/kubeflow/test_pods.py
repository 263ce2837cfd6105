"""Settings of pods: what the driver reads in the second document of a compiled file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig

from seqline.configuration import Configuration
from seqline.configuration.kubernetes import PodSettings
from seqline.errors import UserError
from seqline.targets.kubeflow import Kubeflow
from seqline.targets.kubeflow.pods import set_pod

ALL: dict[str, Any] = {
    "node_selector": {"pool": "training"},
    "node_affinity": [
        {"requirements": [{"key": "zone", "values": ["a", "b"]}], "weight": 50},
        {"requirements": [{"key": "spot", "operator": "DoesNotExist"}]},
    ],
    "tolerations": [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "team", "value": "a", "effect": "NoExecute", "seconds": 60},
        {"operator": "Exists"},
    ],
    "labels": {"team": "translation", "example.org/cost-center": "42"},
    "annotations": {"sidecar.istio.io/inject": "false"},
    "image_pull_secrets": ["registry.example.org"],
    "image_pull_policy": "Always",
    "secret_environment": {"HOOK": "notifications/url"},
    "config_map_environment": {"LEVEL": "settings/log.level"},
    "secret_volumes": {"/etc/keys": "keys"},
    "config_map_volumes": {"/settings": "settings"},
    "claims": {"/checkpoints": "state/seqline"},
    "security_context": {"run_as_user": 2000, "run_as_group": 0, "run_as_non_root": True},
    "active_deadline_seconds": 7200,
}


def read(settings: dict[str, Any]) -> KubernetesExecutorConfig:
    """What the driver reads for a pod with these settings."""
    task: Any = SimpleNamespace(platform_config={})
    set_pod(task, PodSettings.model_validate(settings))
    return json_format.ParseDict(task.platform_config.get("kubernetes", {}), KubernetesExecutorConfig())


def test_every_setting_is_what_the_driver_reads() -> None:
    pod = read(ALL)
    assert dict(pod.node_selector.labels) == {"pool": "training"}
    preferred, required = pod.node_affinity
    (zone,), (spot,) = preferred.match_expressions, required.match_expressions
    assert (zone.key, zone.operator, list(zone.values), preferred.weight) == ("zone", "In", ["a", "b"], 50)
    assert (spot.key, spot.operator, list(spot.values)) == ("spot", "DoesNotExist", [])
    assert not required.HasField("weight")
    tolerated = [(one.key, one.operator, one.value, one.effect) for one in pod.tolerations]
    assert tolerated == [
        ("gpu", "Exists", "", "NoSchedule"),
        ("team", "Equal", "a", "NoExecute"),
        ("", "Exists", "", ""),
    ]
    assert [one.toleration_seconds for one in pod.tolerations if one.HasField("toleration_seconds")] == [60]
    assert dict(pod.pod_metadata.labels) == ALL["labels"]
    assert dict(pod.pod_metadata.annotations) == ALL["annotations"]
    assert [one.secret_name for one in pod.image_pull_secret] == ["registry.example.org"]
    assert pod.image_pull_policy == "Always"
    (secret,) = pod.secret_as_env
    assert (secret.secret_name, secret.key_to_env[0].secret_key, secret.key_to_env[0].env_var) == (
        "notifications",
        "url",
        "HOOK",
    )
    (settings,) = pod.config_map_as_env
    assert (settings.config_map_name, settings.key_to_env[0].config_map_key) == ("settings", "log.level")
    assert [(one.secret_name, one.mount_path) for one in pod.secret_as_volume] == [("keys", "/etc/keys")]
    assert [(one.config_map_name, one.mount_path) for one in pod.config_map_as_volume] == [("settings", "/settings")]
    (claim,) = pod.pvc_mount
    assert claim.pvc_name_parameter.runtime_value.constant.string_value == "state"
    assert (claim.mount_path, claim.sub_path) == ("/checkpoints", "seqline")
    user = pod.security_context
    assert (user.run_as_user, user.run_as_group, user.run_as_non_root) == (2000, 0, True)
    assert user.HasField("run_as_group")
    assert pod.active_deadline_seconds == 7200


def test_no_settings_leave_nothing() -> None:
    task: Any = SimpleNamespace(platform_config={})
    set_pod(task, PodSettings())
    assert task.platform_config == {}


def compiled(folder: Path, content: dict[str, Any], pipeline: str = "batch") -> tuple[Any, dict[str, Any]]:
    """The portable document, and the settings of the pods by executor."""
    target = Kubeflow(Configuration.model_validate(content))
    spec, *rest = yaml.load_all(target.compile(pipeline, folder / "spec.yaml").read_text(), yaml.CSafeLoader)
    executors = rest[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if rest else {}
    for one in executors.values():
        json_format.ParseDict(one, KubernetesExecutorConfig())
    return spec, executors


def test_a_stage_has_its_own_settings_and_those_of_all_stages(tmp_path: Path) -> None:
    pods = {
        "default": {"tolerations": [{"key": "a", "operator": "Exists"}], "labels": {"team": "a", "by": "seqline"}},
        "infer": {"tolerations": [{"key": "b", "operator": "Exists"}], "labels": {"team": "b"}},
    }
    spec, executors = compiled(tmp_path, {"targets": {"kubeflow": {"host": "http://kfp", "pods": pods}}})
    assert set(executors) == {"exec-snapshot", "exec-infer", "exec-summarize"}
    assert [one["key"] for one in executors["exec-infer"]["tolerations"]] == ["a", "b"]
    assert executors["exec-infer"]["podMetadata"]["labels"] == {"team": "b", "by": "seqline"}
    assert executors["exec-snapshot"]["podMetadata"]["labels"] == {"team": "a", "by": "seqline"}
    portable, none = compiled(tmp_path, {"targets": {"kubeflow": {"host": "http://kfp"}}})
    assert (portable, none) == (spec, {})


@given(st.permutations(list(ALL)), st.integers(0, len(ALL)))
def test_settings_over_others_keep_what_both_say(keys: list[str], split: int) -> None:
    first = PodSettings.model_validate({key: ALL[key] for key in keys[:split]})
    second = PodSettings.model_validate({key: ALL[key] for key in keys[split:]})
    assert second.over(first) == first.over(second) == PodSettings.model_validate(ALL)
    assert first.over(first) == first


def resources(pods: dict[str, Any], **train: Any) -> dict[str, Any]:
    return {"targets": {"kubeflow": {"host": "http://kfp", "pods": pods}}, "resources": {"train": train}}


def tpu(accelerator: str, topology: str) -> dict[str, Any]:
    labels = {"cloud.google.com/gke-tpu-accelerator": accelerator, "cloud.google.com/gke-tpu-topology": topology}
    return {"train": {"node_selector": {key: value for key, value in labels.items() if value}}}


def test_training_on_a_tpu_of_gke(tmp_path: Path) -> None:
    content = resources(
        tpu("tpu-v5-lite-podslice", "2x4"), accelerator_type="google.com/tpu", accelerator_count=8, retries=2
    )
    content["resources"]["evaluate"] = {"accelerator_type": "nvidia.com/gpu"}
    content["resources"]["export"] = {"accelerator_type": "nvidia.com/mig-1g.5gb"}
    spec, executors = compiled(tmp_path, content, "training")
    containers = {name: one["container"] for name, one in spec["deploymentSpec"]["executors"].items()}
    train = containers["exec-train"]
    assert train["image"].startswith("seqline/train-tpu:")
    assert train["resources"]["accelerator"]["resourceType"] == "google.com/tpu"
    assert train["resources"]["accelerator"]["resourceCount"] == "8"
    assert (
        executors["exec-train"]["nodeSelector"]["labels"]
        == content["targets"]["kubeflow"]["pods"]["train"]["node_selector"]
    )
    gpus = [name for name, one in containers.items() if one["image"].startswith("seqline/train-gpu:")]
    assert {name.rstrip("-234") for name in gpus} == {"exec-evaluate", "exec-export"}
    # An attempt that runs longer than this is stopped by Argo.
    (task,) = [
        one
        for dag in [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
        for one in dag["tasks"].values()
        if one["componentRef"]["name"] == "comp-train"
    ]
    assert task["retryPolicy"]["backoffMaxDuration"] == "2419200s"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            resources({}, accelerator_type="google.com/tpu", accelerator_count=8),
            r"pods\.train\.node_selector: GKE places a pod with TPUs by two labels; set both, such as {cloud\.google",
        ),
        (resources(tpu("tpu-v5-lite-podslice", ""), accelerator_type="google.com/tpu"), "by two labels"),
        (
            resources(tpu("tpu-v6e-slice", "2x2"), accelerator_type="google.com/tpu", accelerator_count=4),
            "does not train on 'tpu-v6e-slice'; it does on tpu-v3-device, tpu-v4-podslice, tpu-v5-lite-podslice",
        ),
        (
            resources(tpu("tpu-v5-lite-podslice", "4x4"), accelerator_type="google.com/tpu", accelerator_count=16),
            "one host, and a tpu-v5-lite-podslice 4x4 has several; write 1x1 or 2x2 or 2x4",
        ),
        (
            resources(tpu("tpu-v5-lite-podslice", "2x4"), accelerator_type="google.com/tpu", accelerator_count=4),
            r"resources\.train\.accelerator_count is 4, but .* 2x4 has 8: set it to 8",
        ),
        (
            resources({}, accelerator_type="NVIDIA_L4"),
            r"resources\.train\.accelerator_type: NVIDIA_L4 is a type of Vertex.*nvidia\.com/gpu",
        ),
        (resources({}, accelerator_type="TPU_V3"), r"TPU_V3 is a type of Vertex.*write google\.com/tpu"),
        (resources({}, accelerator_type="amd.com/gpu"), "no image has libraries for 'amd.com/gpu'"),
    ],
)
def test_accelerators_that_no_pod_can_have_are_refused(content: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        Kubeflow(Configuration.model_validate(content)).compile("training", tmp_path / "spec.yaml")
