"""The same model on the same test set is evaluated once, as the challenger of one run and the champion of the next."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl
from kfp.dsl import Artifact, Input, Model, Output

from seqline.artifacts.opponent import Opponent
from seqline.targets.evaluated import folder_digest, has_no_model, with_content
from seqline.targets.laptop import Home, run
from seqline.targets.target import Run

COMMAND = ["sh", "-ec", "...", "def evaluate():\n    from seqline.components.evaluate import stage\n"]
OPTIONS = {"batch_size": 64}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "export" / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    (folder / "variables" / "weights").write_bytes(b"0123")
    return folder


def of_challenger(model: Path, **changed: Any) -> dict[str, Any]:
    corpus = dsl.Dataset(uri="/runs/1/corpus", metadata={"train": 9})
    return {"model": Model(uri=str(model)), "corpus": corpus, "options": OPTIONS, **changed}


def of_champion(model: Path, **changed: Any) -> dict[str, Any]:
    opponent = Opponent(version="1", fingerprint="f", address=str(model), files="times").to_parameter()
    return {"corpus": of_challenger(model)["corpus"], "options": OPTIONS, "opponent": opponent, **changed}


def key(component: str, arguments: dict[str, Any]) -> Any:
    from kfp.local.cache import LocalCache

    name, identified = with_content(component, COMMAND, arguments)
    return name, LocalCache._serialize_value_for_key(identified)


def test_a_champion_is_identified_as_the_challenger_that_it_was(model: Path, tmp_path: Path) -> None:
    deployed = tmp_path / "endpoints" / "demo" / "versions" / "1"
    shutil.copytree(model, deployed)
    assert key("comp-evaluate", of_challenger(model)) == key("comp-evaluate-2", of_champion(deployed))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "variables" / "weights").write_bytes(b"0124"),
        lambda folder: (folder / "variables" / "weights").rename(folder / "weights"),
        lambda folder: (folder / "added").touch(),
        lambda folder: (folder / "model.json").unlink(),
    ],
)
def test_other_content_is_another_model(model: Path, change: Callable[[Path], object]) -> None:
    before = key("comp-evaluate", of_challenger(model)), folder_digest(model)
    change(model)
    assert key("comp-evaluate", of_challenger(model)) != before[0]
    assert folder_digest(model) != before[1]


@pytest.mark.parametrize(
    "changed", [{"options": {"batch_size": 32}}, {"options": {"batch_size": 64, "plugins": ["metric 2.0 digest"]}}]
)
def test_other_options_are_another_evaluation(model: Path, changed: dict[str, Any]) -> None:
    assert key("comp-evaluate", of_challenger(model)) != key("comp-evaluate", of_challenger(model, **changed))


def test_another_corpus_is_another_evaluation(model: Path) -> None:
    other = dsl.Dataset(uri="/runs/2/corpus", metadata={"train": 9})
    assert key("comp-evaluate", of_champion(model)) != key("comp-evaluate", of_champion(model, corpus=other))


@pytest.mark.parametrize("found", [{"standing": "none"}, {"standing": "same", "version": "1"}, {"problem": "missing"}])
def test_a_task_without_a_model_keeps_its_key(model: Path, found: dict[str, str]) -> None:
    arguments = of_challenger(model, opponent=found)
    assert has_no_model(arguments)
    assert with_content("comp-evaluate-2", COMMAND, arguments) == ("comp-evaluate-2", arguments)


def test_a_model_elsewhere_and_a_stage_of_another_package_keep_their_keys(model: Path) -> None:
    elsewhere = of_challenger(Path("/gone"))
    assert with_content("comp-evaluate", COMMAND, elsewhere) == ("comp-evaluate", elsewhere)
    theirs = of_challenger(model)
    assert with_content("comp-evaluate", ["sh", "def evaluate(): ..."], theirs) == ("comp-evaluate", theirs)


@pytest.mark.parametrize(
    ("values", "idle"),
    [
        ({"pretrained": {"standing": "none"}}, True),
        ({"opponent": {"standing": "same", "version": "3"}}, True),
        ({"opponent": {"address": "/a/model", "version": "3"}}, False),
        ({"opponent": {}}, False),  # of the challenger
        ({"text": '{"standing": "none"}'}, False),
        ({}, False),
    ],
)
def test_a_stage_with_nothing_to_measure_does_not_wait_for_tensorflow(values: dict[str, Any], idle: bool) -> None:
    assert has_no_model(values) is idle


@pytest.mark.parametrize("name", ["opponent", "pretrained"])
def test_only_a_task_with_a_model_needs_tensorflow(name: str) -> None:
    assert has_no_model({name: {"standing": "none"}})
    assert not has_no_model({name: {"address": "/model"}})
    assert not has_no_model({"options": {"standing": "none"}})


@dsl.component(base_image="anything:1", install_kfp_package=False)
def train(text: str, model: Output[Model]) -> None:
    from pathlib import Path

    Path(model.path).mkdir(parents=True)
    (Path(model.path) / "weights").write_text(text)


@dsl.component(base_image="anything:1", install_kfp_package=False)
def evaluate(evaluation: Output[Artifact], model: Input[Model] = None, opponent: dict = {}) -> None:  # noqa: B006
    from pathlib import Path

    from seqline.components.evaluate import options  # noqa: F401 (as the stage)

    folder = Path(model.path if model else opponent["address"])
    Path(evaluation.path).parent.mkdir(parents=True, exist_ok=True)
    Path(evaluation.path).write_text((folder / "weights").read_text())


@dsl.pipeline(name="comparing")
def comparing(text: str, opponent: dict) -> None:
    evaluate(model=train(text=text).outputs["model"])
    evaluate(opponent=opponent).set_display_name("evaluate champion")


@pytest.mark.usefixtures("shared_stage_servers")
def test_the_champion_s_evaluation_comes_from_the_run_in_which_it_was_the_challenger(tmp_path: Path) -> None:
    spec, home, deployed = tmp_path / "spec.yaml", Home(tmp_path / "home"), tmp_path / "versions" / "1"
    compiler.Compiler().compile(comparing, str(spec))

    def compared(text: str) -> Run:
        return run(spec, {"text": text, "opponent": {"address": str(deployed), "version": "1"}}, home)

    deployed.mkdir(parents=True)
    (deployed / "weights").write_text("old")
    first = compared("new")
    assert [task.state for task in first.tasks] == ["succeeded"] * 3, first.error
    (deployed / "weights").write_text("new")
    second = {task.name: task.state for task in compared("newer").tasks}
    assert second == {"train": "succeeded", "evaluate": "succeeded", "evaluate champion": "cached"}
