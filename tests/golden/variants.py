"""The pipelines as they are compiled for each target, with versions blanked."""

import functools
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.configuration import Configuration
from seqline.targets import open_target

# Of kfp, of our images, and of the launcher of google-cloud-pipeline-components.
VERSIONS = (
    (re.compile(r"^kfp-\d\S*"), "kfp-VERSION"),
    (re.compile(r"(seqline/[a-z-]+|google-cloud-pipeline-components):\d[\w.-]*"), r"\1:VERSION"),
)


@dataclass(frozen=True)
class Variant:
    """A pipeline for a target.

    Attributes:
        pipeline: Its name.
        target: The target that compiles it.
        configuration: What seqline.yaml says.
    """

    pipeline: str
    target: str = "laptop"
    configuration: dict[str, Any] = field(default_factory=dict)


KUBEFLOW = {
    "targets": {
        "kubeflow": {
            "host": "https://kubeflow.example.org/pipeline",
            "node_selectors": {"train": {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}},
        }
    },
    "resources": {
        "train": {"cpu": 8, "memory": "32G", "accelerator_type": "nvidia.com/gpu", "retries": 3},
        "evaluate": {"retries": 2},
    },
}
VERTEX = {
    "images": {"repository": "europe-docker.pkg.dev/my-project/seqline"},
    "targets": {
        "vertex": {
            "project": "my-project",
            "pipeline_root": "gs://my-bucket/root",
            "service_account": "runs@my-project.iam.gserviceaccount.com",
            "labels": {"team": "translation"},
            "notify": ["team@example.org"],
            "import_evaluation": True,
            "training": {"tpu": {"version": "v5e", "topology": "2x4"}, "spot": True},
            "dataflow": {"max_workers": 20},
        }
    },
}
VARIANTS = {
    "training": Variant("training"),
    "batch": Variant("batch"),
    "tuning": Variant("tuning"),
    "monitoring": Variant("monitoring"),
    "release": Variant("release"),
    "training-kubeflow": Variant("training", "kubeflow", KUBEFLOW),
    "training-vertex": Variant("training", "vertex", VERTEX),
    "tuning-vertex": Variant("tuning", "vertex", VERTEX),
}
"""The portable specs by the name of their pipeline, then what the targets change."""

# The Vertex SDK takes twenty seconds to import: the tests that need all of it run in one process.
of_every_variant = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.xdist_group("vertex-tuning")] if name == "tuning-vertex" else [])
        for name in VARIANTS
    ],
)


@functools.cache
def compiled(name: str) -> str:
    """The YAML of a variant, without comments, which repeat its description and its parameters.

    Args:
        name: A key of `VARIANTS`.
    """
    variant = VARIANTS[name]
    target = open_target(variant.target, Configuration.model_validate(variant.configuration))
    with tempfile.TemporaryDirectory() as folder:
        path = target.compile(variant.pipeline, Path(folder) / "spec.yaml")
        documents = list(yaml.load_all(path.read_text(encoding="utf-8"), yaml.CSafeLoader))
    return yaml.dump_all(_without_versions(documents), Dumper=yaml.CSafeDumper, sort_keys=True, allow_unicode=True)


def documents(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new copy of a variant's spec, and of the settings for Kubernetes that follow it in the file.

    Args:
        name: A key of `VARIANTS`.
    """
    spec, *rest = yaml.load_all(compiled(name), yaml.CSafeLoader)
    return spec, rest[0] if rest else {}


def _without_versions(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_versions(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_versions(one) for one in value]
    if isinstance(value, str):
        for pattern, blank in VERSIONS:
            value = pattern.sub(blank, value)
    return value
