"""The release pipeline: what holds of the training pipeline holds of it."""

from typing import Any

import pytest
import yaml

from seqline.compiling.compiler import compile_pipeline
from tests.pipelines import invariants


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = compile_pipeline("release", tmp_path_factory.mktemp("release") / "release.yaml")
    return dict(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "holds",
    [
        invariants.cached_as_documented,
        invariants.live_only_if_blessed,
        invariants.parameters_reach_inputs_of_their_names,
        invariants.options_come_from_snapshot,
        invariants.data_has_its_fingerprint,
        invariants.reported_whatever_happens,
    ],
)
def test_the_invariants_hold(holds: Any, spec: dict[str, Any]) -> None:
    assert holds(spec) == []


def test_the_model_is_adopted_by_the_fingerprint_that_snapshot_took(spec: dict[str, Any]) -> None:
    group = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    taken = group["adopt"]["inputs"]["parameters"]
    assert taken["fingerprint"]["taskOutputParameter"]["outputParameterKey"] == "model_fingerprint"
    assert taken["fingerprint"]["taskOutputParameter"]["producerTask"] == "snapshot"
    assert group["snapshot"]["inputs"]["parameters"]["release"]["runtimeValue"]["constant"] is True
