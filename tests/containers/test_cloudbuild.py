"""The Cloud Build files: parsed as the real message, with their steps in order."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud.devtools import cloudbuild_v1
from google.protobuf import json_format

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("cloudbuild/*.yaml"), key=lambda path: path.name)
GIVEN = {"PROJECT_ID", "LOCATION", "BUILD_ID", "SHORT_SHA"}


def build(name: str) -> Any:
    content = yaml.safe_load((ROOT / "cloudbuild" / name).read_text())
    message = cloudbuild_v1.Build()
    json_format.ParseDict(content, message._pb)
    return message


def words(message: Any) -> str:
    return " ".join(
        [
            *(word for step in message.steps for word in (step.name, *step.args)),
            message.artifacts.objects.location,
        ]
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_a_build_and_every_substitution_is_known(path: Path) -> None:
    message = build(path.name)
    text = words(message) + " ".join(message.substitutions.values())
    used = {one or other for one, other in re.findall(r"\$(?:\{(\w+)\}|([A-Z_]+))", text)}
    assert used <= GIVEN | set(message.substitutions)
    assert set(message.substitutions) <= used
    assert message.timeout.total_seconds() > 3600


def test_a_release_tests_builds_compiles_uploads_and_applies_the_schedules_in_this_order() -> None:
    steps = build("release.yaml").steps
    assert [step.id for step in steps] == ["test", "build", "compile", "upload", "schedules"]
    # Without wait_for, a step waits for all previous ones.
    assert not any(step.wait_for for step in steps)


def test_what_is_compiled_uploaded_and_scheduled_is_pinned_to_what_was_built() -> None:
    steps = {step.id: step for step in build("release.yaml").steps}
    assert "--push" in steps["build"].args[-1]
    for name in ("compile", "upload", "schedules"):
        assert "--config=build/images.yaml" in steps[name].args
