"""A pipeline can be one of ours, a package's, one in a module, or one in a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from seqline.cli import main
from seqline.compiling.compiler import compile_pipeline, parameters_of, stages
from seqline.compiling.sources import known_pipelines, spec_name
from seqline.configuration import Configuration
from seqline.errors import UserError
from seqline.pipelines import PIPELINES
from seqline.targets import open_target
from tests.plugin_packages import installed, write_package

DAG = '''
"""Our components and one of the user's own."""

from kfp import dsl

from seqline.components.snapshot.component import snapshot
from seqline.components.summary.component import summarize
from seqline.schema.descriptions import described


@dsl.component(base_image="registry.example.org/team/image:1", install_kfp_package=False)
def announce(fingerprint: str, channel: str) -> str:
    """Announces new data."""
    return f"{channel}: {fingerprint}"


@dsl.pipeline(name="nightly-corpus")
@described
def nightly(data: str = "", channel: str = "news", corpus: dict = {}) -> None:
    """Fingerprints the data and announces them.

    Args:
        channel: Where to announce.
    """
    found = snapshot(data=data, corpus=corpus).set_caching_options(enable_caching=False)
    announce(fingerprint=found.outputs["fingerprint"], channel=channel)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dag(folder: Path) -> Path:
    (folder / "dags").mkdir()
    (folder / "dags" / "nightly.py").write_text(DAG)
    return folder / "dags" / "nightly.py"


@pytest.fixture
def package(folder: Path) -> Iterator[None]:
    write_package(folder / "site", "my-dags", "1", DAG, {"pipelines:every_night": "nightly"})
    with installed(folder / "site"):
        yield


def compiled(name: str, folder: Path) -> str:
    path = compile_pipeline(name, folder / "spec.yaml")
    return path.read_text().partition("\ncomponents:")[2]


def test_a_file_a_module_and_an_entry_point_give_the_same_spec(dag: Path, package: None, folder: Path) -> None:
    names = ["dags/nightly.py", "dags/nightly.py:nightly", str(dag), "my_dags:nightly", "every_night"]
    first, *others = [compiled(name, folder) for name in names]
    assert others == [first] * 4
    assert "registry.example.org/team/image:1" in first
    assert known_pipelines() == [*PIPELINES, "every_night"]


def test_parameters_of_the_run_have_our_descriptions_and_others_their_own(dag: Path, folder: Path) -> None:
    given = yaml.safe_load(compile_pipeline(str(dag), folder / "spec.yaml").read_text())["root"]["inputDefinitions"]
    described = {name: one["description"] for name, one in given["parameters"].items()}
    assert described["channel"] == "Where to announce."
    assert described["data"].startswith("Pairs of source and target")
    assert described["corpus"].startswith("Options of tokenize")
    assert stages(str(dag))["announce"] == "registry.example.org/team/image:1"
    assert parameters_of(str(dag)).defaults["channel"] == "news"


def test_the_commands_take_it_with_its_own_parameters(dag: Path, folder: Path, capsys: pytest.CaptureFixture) -> None:
    options = ["--pipeline", "dags/nightly.py", "--set", "channel=alerts", "--set", "corpus.max_tokens=64"]
    assert main(["compile", "-o", "spec.yaml", *options]) == 0
    known = yaml.safe_load((folder / "spec.yaml").read_text())["root"]["inputDefinitions"]["parameters"]
    assert known["channel"]["defaultValue"] == "alerts"
    assert known["corpus"]["defaultValue"] == {"max_tokens": 64}
    assert main(["compile", "-o", "spec.yaml", "--pipeline", "dags/nightly.py", "--set", "chanel=alerts"]) != 0
    assert "did you mean 'channel'" in capsys.readouterr().err
    (folder / "seqline.yaml").write_text("pipeline: dags/nightly.py\nresources: {announce: {cpu: 2}}\n")
    assert main(["check", "--offline"]) == 0
    (folder / "seqline.yaml").write_text("pipeline: dags/nightly.py\nresources: {anounce: {cpu: 2}}\n")
    assert main(["check", "--offline"]) != 0
    assert "there is no such stage; did you mean 'announce'" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_it_compiles_for_the_other_targets_with_our_images_replaced_only(target: str, dag: Path, folder: Path) -> None:
    settings = {
        "kubeflow": {"host": "http://localhost:1"},
        "vertex": {"project": "my-project", "location": "europe-west4", "pipeline_root": "gs://bucket/runs"},
    }
    configuration = Configuration.model_validate(
        {"images": {"repository": "eu.example.org/p"}, "targets": {target: settings[target]}}
    )
    text = open_target(target, configuration).compile(str(dag), folder / "spec.yaml").read_text()
    assert "eu.example.org/p/tokenize:" in text
    assert "registry.example.org/team/image:1" in text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.py", None, "there is no file .*missing.py; write a name, MODULE:NAME"),
        ("dag.py", "def broken(:\n", "cannot be imported, .*dag.py line 1: SyntaxError"),
        ("dag.py", "x = 1\nimport no_such_library\n", "dag.py line 2: ModuleNotFoundError: No module named 'no_such_"),
        ("dag.py", "x = 1\n", "the file has no pipelines; decorate a function"),
        ("dag.py", DAG + DAG.partition("@dsl.pipeline")[1] + DAG.partition("@dsl.pipeline")[2].replace("nightly", "b"),
         "the file has 2 pipelines; choose one: .*dag.py:nightly, .*dag.py:b"),
        ("dag.py:nightly", "x = 1\nnightly = 3\n", "nightly is not a pipeline; decorate it with @dsl.pipeline"),
        ("dag.py:nigtly", DAG, "there is no nigtly in .*dag.py; did you mean 'nightly'"),
        ("no_package.dag:nightly", None, "no_package.dag cannot be imported: ModuleNotFoundError: No module named"),
        ("nigtly", None, "no pipeline is called .nigtly.; did you mean .*or write a name, MODULE:NAME"),
    ],
)  # fmt: skip
def test_what_is_no_pipeline_is_refused_with_its_place(
    name: str, content: str | None, message: str, folder: Path
) -> None:
    if content is not None:
        (folder / "dag.py").write_text(content)
    with pytest.raises(UserError, match=message):
        compile_pipeline(name, folder / "spec.yaml")
    assert not (folder / "spec.yaml").exists()


def test_a_file_imports_the_modules_beside_it_and_is_read_again_after_a_change(dag: Path, folder: Path) -> None:
    (dag.parent / "beside_the_dag.py").write_text("CHANNEL = 'news'\n")
    dag.write_text(f"from beside_the_dag import CHANNEL\n{DAG}".replace('"news"', "CHANNEL"))
    assert parameters_of(str(dag)).defaults["channel"] == "news"
    dag.write_text(DAG.replace('"news"', '"alerts"'))
    assert parameters_of(str(dag)).defaults["channel"] == "alerts"


@pytest.mark.parametrize("name", PIPELINES)
def test_an_ejected_pipeline_compiles_to_the_same_bytes(name: str, folder: Path) -> None:
    assert main(["eject", name, "mine.py"]) == 0
    own, ours = (compile_pipeline(one, folder / f"{spec_name(one)}.yaml") for one in ("mine.py", name))
    assert own.read_bytes() == ours.read_bytes()


def test_eject_overwrites_nothing(folder: Path, capsys: pytest.CaptureFixture) -> None:
    (folder / "training.py").write_text("mine")
    assert main(["eject", "training"]) != 0
    assert "training.py exists" in capsys.readouterr().err
    assert (folder / "training.py").read_text() == "mine"
    assert main(["eject", "trainin"]) != 0
    assert main(["eject", "training", "no/such/folder.py"]) != 0
    assert main(["eject", "training", "dag.yaml"]) != 0
    errors = capsys.readouterr().err
    for part in ("did you mean 'training'", "there is no folder no/such", "must end in .py"):
        assert part in errors


@pytest.mark.parametrize(
    ("pipeline", "name"),
    [("training", "training"), ("a/b.py", "a-b"), ("../a.py:b", "a.py-b"), ("my.dag:x", "my.dag-x"), ("/", "pipeline")],
)
def test_a_pipeline_has_a_name_for_files(pipeline: str, name: str) -> None:
    assert spec_name(pipeline) == name
