"""Settings of pods in seqline.yaml: what Kubernetes or KFP would refuse is refused here, with its line."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.configuration import load
from seqline.configuration.loaded import ConfigurationError


def problems(tmp_path: Path, **pod: Any) -> list[str]:
    file = tmp_path / "seqline.yaml"
    file.write_text(yaml.safe_dump({"targets": {"kubeflow": {"host": "http://kfp", "pods": {"train": pod}}}}))
    try:
        load([file])
    except ConfigurationError as error:
        return [str(one) for one in error.problems]
    return []


@pytest.mark.parametrize(
    "pod",
    [
        {"claims": {"/data/": "state"}},
        {"claims": {"data": "state"}},
        {"claims": {"/data:ro": "state"}},
        {"claims": {"/data/../etc": "state"}},
        {"claims": {"/": "state"}},
    ],
)
def test_a_folder_is_absolute_and_plain(tmp_path: Path, pod: dict[str, Any]) -> None:
    (problem,) = problems(tmp_path, **pod)
    assert "is not a folder of a pod" in problem
    assert "seqline.yaml, line" in problem


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        ({"secret_volumes": {"/keys": "My_Keys"}}, "'My_Keys' is not a name of Kubernetes"),
        ({"secret_volumes": {"/keys": "a" * 254}}, "is not a name of Kubernetes"),
        ({"secret_volumes": {"/keys": "my.keys"}}, "'my.keys' cannot be mounted: KFP names the volume after it"),
        ({"claims": {"/data": "a" * 64}}, "cannot be mounted"),
        ({"claims": {"/data": "state/../other"}}, "is not a claim: write CLAIM or CLAIM/FOLDER"),
        ({"claims": {"/data": "state/"}}, "is not a claim"),
        ({"claims": {"/gcs": "state"}}, "/gcs is a folder of KFP; choose another folder"),
        ({"claims": {"/opt": "state"}}, "/opt hides /opt/venv of the stage's image"),
        ({"claims": {"/data": "s3-scratch"}}, "claims: s3-scratch is the name of a volume of KFP"),
        ({"claims": {"/a": "state/a", "/b": "state/b"}}, "/b: state is also mounted at /a"),
        ({"claims": {"/a": "same"}, "secret_volumes": {"/b": "same"}}, "same is also mounted at /b"),
        ({"claims": {"/a": "x"}, "secret_volumes": {"/a": "y"}}, "/a is a folder in secret_volumes and in claims"),
        ({"secret_environment": {"HOOK": "notifications"}}, "does not name a value of a secret: write NAME/KEY"),
        ({"secret_environment": {"HOOK": "notifications/a b"}}, "does not name a value of a secret"),
        ({"secret_environment": {"9": "a/b"}}, "has the wrong form"),
        ({"secret_environment": {"KFP_POD_NAME": "a/b"}}, "KFP_POD_NAME is a variable that KFP sets itself"),
        (
            {"secret_environment": {"A": "a/b"}, "config_map_environment": {"A": "a/b"}},
            "A is in secret_environment and in config_map_environment",
        ),
        ({"labels": {"-team": "a"}}, "'-team' is not a key of Kubernetes"),
        ({"labels": {"Example.org/team": "a"}}, "'Example.org/team' is not a key of Kubernetes"),
        ({"labels": {"a" * 64: "a"}}, "is not a key of Kubernetes"),
        ({"labels": {"team": "a b"}}, "'a b' is not a value of a label"),
        ({"labels": {"team": "a" * 64}}, "is not a value of a label"),
        ({"labels": {"workflows.argoproj.io/workflow": "x"}}, "belongs to KFP or Argo"),
        ({"annotations": {"a": "x" * 300_000}}, "annotations: they have 300,001 bytes"),
        ({"image_pull_secrets": ["A"]}, "'A' is not a name of Kubernetes"),
        ({"image_pull_policy": "always"}, "must be Always, IfNotPresent"),
        ({"tolerations": [{"effect": "NoSchedule"}]}, "set operator: Exists, or give the key"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "omit value: b"),
        ({"tolerations": [{"key": "a", "seconds": 5}]}, "set effect: NoExecute"),
        ({"tolerations": [{"key": "a", "efect": "NoSchedule"}]}, "is unknown; did you mean 'effect'"),
        ({"node_affinity": [{"requirements": []}]}, "node_affinity.0.requirements"),
        ({"node_affinity": [{"requirements": [{"key": "a"}]}]}, "operator In compares with values"),
        (
            {"node_affinity": [{"requirements": [{"key": "a", "operator": "Exists", "values": ["b"]}]}]},
            "takes no values",
        ),
        ({"node_affinity": [{"requirements": [{"key": "a", "operator": "Gt", "values": ["b"]}]}]}, "one whole number"),
        ({"node_affinity": [{"requirements": [{"key": "a", "values": ["b"]}], "weight": 101}]}, "at most 100"),
        ({"security_context": {"run_as_user": 0, "run_as_non_root": True}}, "run_as_user: 0 is root"),
        ({"security_context": {"privileged": True}}, "is unknown"),
        ({"active_deadline_seconds": 0}, "must be at least 1"),
        ({"node_selectors": {}}, "is unknown; did you mean 'node_selector'"),
    ],
)
def test_what_a_cluster_would_refuse_is_refused(tmp_path: Path, pod: dict[str, Any], message: str) -> None:
    found = problems(tmp_path, **pod)
    assert [one for one in found if message in one], found
    assert all("seqline.yaml, line" in one for one in found)


@pytest.mark.parametrize(
    "pod",
    [
        {"labels": {"app.kubernetes.io/Part_Of": "a.b-C_d", "x": ""}},
        {"secret_volumes": {"/etc/keys": "a" * 63, "/home/seqline/keys": "b"}},
        {"claims": {"/gcs/bucket": "bucket", "/checkpoints": "state/team-a/runs"}},
        {"image_pull_secrets": ["registry.example.org"]},
        {"secret_environment": {"_A": "my.secret/tls.key"}},
        {"active_deadline_seconds": 2**31 - 1},
    ],
)
def test_what_a_cluster_takes_is_taken(tmp_path: Path, pod: dict[str, Any]) -> None:
    assert problems(tmp_path, **pod) == []


def test_a_stage_that_contradicts_the_settings_of_all_stages_is_named(tmp_path: Path) -> None:
    file = tmp_path / "seqline.yaml"
    pods = {"default": {"claims": {"/a": "state"}}, "train": {"claims": {"/b": "state"}}}
    file.write_text(yaml.safe_dump({"targets": {"kubeflow": {"host": "http://kfp", "pods": pods}}}))
    with pytest.raises(ConfigurationError, match=r"pods\.train, with those of pods\.default: /b: state is also m"):
        load([file])


def test_keys_of_earlier_versions_are_read(tmp_path: Path) -> None:
    file = tmp_path / "seqline.yaml"
    file.write_text(
        "targets:\n  kubeflow:\n    host: http://kfp\n    token_file: /token\n"
        "    node_selectors: {train: {pool: gpu}}\n    secret_environment: {HOOK: notifications/url}\n"
    )
    kubeflow = load([file]).configuration.targets.kubeflow
    assert kubeflow
    assert kubeflow.login.token_file == "/token"
    assert kubeflow.pod("train").node_selector == {"pool": "gpu"}
    assert kubeflow.pod("summarize").secret_environment == {"HOOK": "notifications/url"}
    file.write_text(file.read_text() + "    pods: {train: {node_selector: {pool: cpu}}}\n")
    with pytest.raises(
        ConfigurationError, match=r"node_selectors\.train is now pods\.train\.node_selector, which is also"
    ):
        load([file])
