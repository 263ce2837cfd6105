"""The DAGs: what they pass on, what they cache, and what they deploy behind."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

import seqline.pipelines
from seqline.compiling.compiler import compile_pipeline, load_pipeline
from seqline.pipelines import PIPELINES
from seqline.schema.sections import SECTIONS

FILES = sorted(Path(seqline.pipelines.__file__).parent.glob("[a-z]*.py"))


@pytest.fixture(scope="module", params=PIPELINES)
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = compile_pipeline(request.param, tmp_path_factory.mktemp("spec") / "spec.yaml")
    return yaml.safe_load(path.read_text())


def tasks(spec: Any) -> dict[str, Any]:
    dags = [spec["root"]["dag"], *(one["dag"] for one in spec["components"].values() if "dag" in one)]
    return {name: task for dag in dags for name, task in dag["tasks"].items()}


def source(value: Any) -> str:
    """Where a task's input comes from: a task and its output, or a parameter of the pipeline."""
    if "taskOutputParameter" in value:
        output = value["taskOutputParameter"]
        return f"{output['producerTask']}.{output['outputParameterKey']}"
    return str(value.get("componentInputParameter", "")).removeprefix("pipelinechannel--")


def test_stages_take_their_options_from_snapshot_which_completed_them(spec: Any) -> None:
    expected = {
        "tokenize": ("options", "corpus"),
        "train": ("options", "training"),
        "tune": ("options", "tuning"),
        "evaluate": ("options", "evaluation"),
        "evaluate-2": ("options", "evaluation"),
        "export": ("decoding", "decoding"),
        "deploy": ("options", "serving"),
        "infer": ("options", "inference"),
    }
    found = tasks(spec)
    looked_at = 0
    for name, (key, section) in expected.items():
        if name in found:
            where = source(found[name]["inputs"]["parameters"][key]).removeprefix("snapshot-")
            assert where in (f"snapshot.{section}", section, "tune.training"), name
            looked_at += 1
    assert looked_at


def test_every_parameter_of_a_pipeline_reaches_the_input_of_its_name(spec: Any) -> None:
    root = spec["root"]["inputDefinitions"]["parameters"]
    found = tasks(spec)
    assert "snapshot" in found
    for name in root:
        readers = [
            (task, key)
            for task, one in found.items()
            for key, value in one.get("inputs", {}).get("parameters", {}).items()
            if source(value) == name
        ]
        imported = any(name in str(one) for one in spec["deploymentSpec"]["executors"].values() if "importer" in one)
        assert readers or imported, name
        for task, key in readers:
            assert key.removeprefix("pipelinechannel--") in (name, "uri"), f"{task}.{key}"


def test_what_depends_on_more_than_its_inputs_is_never_cached(spec: Any) -> None:
    never = {"snapshot", "champion", "bless", "deploy", "summarize", "infer"}
    for name, task in tasks(spec).items():
        if task["componentRef"]["name"].startswith(("comp-exit-handler", "comp-condition")):
            continue
        assert (task.get("cachingOptions") or {}).get("enableCache", False) == (name not in never), name


def test_deploy_is_behind_the_gate() -> None:
    graph = load_pipeline("training").pipeline_spec
    (condition,) = [name for name in graph.components if name.startswith("comp-condition")]
    assert list(graph.components[condition].dag.tasks) == ["deploy"]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_file_holds_the_dag_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert len(functions) == 1
    assert len(path.read_text().splitlines()) <= 130


@pytest.mark.parametrize("name", PIPELINES)
def test_the_docstring_is_the_numbered_list_of_the_steps(name: str) -> None:
    text = inspect.getdoc(load_pipeline(name).pipeline_func) or ""
    steps = [line for line in text.partition("Args:")[0].splitlines() if line[:1].isdigit()]
    assert [step.partition(".")[0] for step in steps] == [str(number) for number in range(1, len(steps) + 1)]
    assert len(steps) >= 3


def test_snapshot_has_an_input_for_every_section() -> None:
    from seqline.components.snapshot.component import snapshot

    assert set(SECTIONS) <= set(snapshot.component_spec.inputs or {})
