import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seqline.compiling.compiler import compile_pipeline, parameters_of
from seqline.compiling.sources import find_pipeline
from seqline.configuration import Configuration
from seqline.configuration.parameters import read_parameters
from seqline.errors import UserError

ROOT = Path(__file__).parents[3]


def test_three_checkouts_in_other_folders_and_environments_compile_to_the_same_bytes(tmp_path: Path) -> None:
    configuration = "images: {repository: eu.example.org/p, tag: '7'}\nresources: {train: {cpu: 8, memory: 32G}}\n"
    specs = []
    for place, environment in (
        ("a", {"PROJECT_ID": "one"}),
        ("b/c", {"PROJECT_ID": "two", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}),
        ("d e", {"LANG": "C", "KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT": "true", "PYTHONHASHSEED": "8"}),
    ):
        checkout = tmp_path / place
        for package in ("components", "pipelines", "seqline"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / package, checkout / package, symlinks=True, ignore=ignored)
        (checkout / "seqline.yaml").write_text(configuration)
        code = (
            "import sys; from pathlib import Path; import seqline; from seqline.cli import main; "
            "assert Path.cwd() in Path(seqline.__file__).parents; sys.exit(main(['compile', '-o', 'spec.yaml']))"
        )
        command = [sys.executable, "-c", code]
        subprocess.run(command, cwd=checkout, env={**os.environ, **environment}, check=True)
        specs.append((checkout / "spec.yaml").read_bytes())
    assert b"eu.example.org/p/train:7" in specs[0]
    assert specs[0] == specs[1] == specs[2]


def test_every_parameter_has_a_default_and_a_description(tmp_path: Path) -> None:
    spec = yaml.safe_load(compile_pipeline("training", tmp_path / "spec.yaml").read_text())
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert len(parameters) > 10
    for name, parameter in parameters.items():
        assert parameter.get("description"), name
        assert "defaultValue" in parameter, name


def test_an_unknown_pipeline_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pipeline is called 'trainin'; did you mean 'training'"):
        compile_pipeline("trainin", tmp_path / "spec.yaml")


def test_a_spec_is_a_yaml_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must end in \.yaml"):
        compile_pipeline("training", tmp_path / "spec.json")
    assert list(tmp_path.iterdir()) == []


def test_defaults_replace_those_of_the_pipeline_field_by_field(tmp_path: Path) -> None:
    configuration = Configuration.model_validate({"images": {"repository": "eu.example.org/p", "tag": "7"}})
    given = {"serving": {"port": 9000}, "training": {"preset": "small"}, "source_language": "fr", "unknown": 1}
    path = compile_pipeline("training", tmp_path / "spec.yaml", configuration, defaults=given)
    parameters = yaml.safe_load(path.read_text())["root"]["inputDefinitions"]["parameters"]
    assert parameters["serving"]["defaultValue"] == {"image": "eu.example.org/p/serve:7", "port": 9000}
    assert parameters["training"]["defaultValue"] == {"preset": "small"}
    assert parameters["source_language"]["defaultValue"] == "fr"
    assert parameters["target_language"]["defaultValue"] == "de"


def test_the_parameters_of_a_pipeline_are_those_of_its_compiled_file(tmp_path: Path) -> None:
    assert parameters_of("training") == read_parameters(compile_pipeline("training", tmp_path / "spec.yaml"))


def test_a_pipeline_compiles_with_kfp_alone_to_the_same_spec(tmp_path: Path) -> None:
    from kfp import compiler

    compiler.Compiler().compile(find_pipeline("training"), str(tmp_path / "kfp.yaml"))
    ours = compile_pipeline("training", tmp_path / "ours.yaml")
    assert (tmp_path / "kfp.yaml").read_text() == ours.read_text()
