"""The compiled pipelines, in a form that a person can review."""

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.golden.digest import changes, digest, summary
from tests.golden.tasks import Spec
from tests.golden.variants import VARIANTS, compiled, documents, of_every_variant

GOLDEN = Path(__file__).parent


@of_every_variant
def test_a_compiled_pipeline_has_the_digest_that_was_reviewed(name: str, tmp_path: Path) -> None:
    expected, found = (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8"), digest(name)
    if expected != found:
        path = tmp_path / f"{name}.yaml"
        path.write_text(compiled(name), encoding="utf-8")
        print(f"The whole spec, also in {path}:\n{compiled(name)}")
        lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "reviewed", "compiled", lineterm="")
        pytest.fail("\n".join([*lines, f"the whole spec is in {path}; if the change is meant: make golden"]), False)


def test_every_digest_has_a_pipeline_and_is_short() -> None:
    files = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in GOLDEN.glob("*.yaml")}
    assert set(files) == set(VARIANTS)
    assert [name for name, lines in files.items() if len(lines) > 200] == []


def in_training(name: str) -> Callable[[Spec], Spec]:
    return lambda spec: spec["components"]["comp-exit-handler-1"]["dag"]["tasks"][name]


def condition(spec: Spec) -> Spec:
    return in_training("condition-2")(spec)["triggerPolicy"]


def container(spec: Spec) -> Spec:
    return spec["deploymentSpec"]["executors"]["exec-train"]["container"]


def options(spec: Spec) -> Spec:
    return in_training("train")(spec)["inputs"]["parameters"]["options"]["taskOutputParameter"]


def corpus(spec: Spec) -> Spec:
    return in_training("export")(spec)["inputs"]["artifacts"]["corpus"]["taskOutputArtifact"]


def data(spec: Spec) -> Spec:
    return in_training("tokenize")(spec)["inputs"]["parameters"]["data"]


def task_field(spec: Spec) -> Spec:
    return spec["root"]["inputDefinitions"]["parameters"]["task"]


@pytest.mark.parametrize(
    ("part", "key", "value", "lines"),
    [
        (container, "image", "seqline/other:1", ["tasks.train.image"]),
        (container, "args", ["--other"], ["tasks.train.source"]),
        (container, "resources", {"cpuLimit": 2.0}, ["tasks.train.resources"]),
        (in_training("train"), "cachingOptions", {}, ["tasks.train.cached"]),
        (in_training("train"), "dependentTasks", ["snapshot"], ["tasks.train.after"]),
        (in_training("train"), "retryPolicy", {"maxRetryCount": 2}, ["tasks.train.retries"]),
        (condition, "condition", "true", ["tasks.deploy.condition"]),
        (options, "outputParameterKey", "corpus", ["tasks.train.parameters.options"]),
        (corpus, "producerTask", "snapshot", ["tasks.export.artifacts.corpus"]),
        (data, "componentInputParameter", "pipelinechannel--valid_data", ["tasks.tokenize.parameters.data"]),
        (task_field, "defaultValue", "summarization", ["parameters.task"]),
        (task_field, "description", "Another one.", []),
    ],
)
def test_a_change_is_in_the_digest_where_a_reviewer_looks_for_it(
    part: Callable[[Spec], Spec], key: str, value: Any, lines: list[str]
) -> None:
    spec, _ = documents("training")
    part(spec)[key] = value
    found = changes(summary(compiled("training")), summary(yaml.safe_dump(spec)))
    assert [line for line in paths(found) if line != "spec"] == lines
    assert "spec" in found


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    """Where the leaves of the changes are; a list, or what was not there before, is one leaf."""
    for key, one in value.items():
        name = f"{prefix}{key}"
        inner = (isinstance(one, dict) and name.count(".") < 2) or name.endswith((".parameters", ".artifacts"))
        yield from paths(one, f"{name}.") if inner else [name]
