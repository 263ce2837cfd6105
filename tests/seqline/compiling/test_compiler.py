import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seqline.compiling.compiler import compile_pipeline
from seqline.errors import UserError
from seqline.pipelines import PIPELINES

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("name", PIPELINES)
def test_the_compiled_spec_is_the_golden_one(name: str) -> None:
    sys.path.insert(0, str(GOLDEN))
    try:
        from regenerate import normalised
    finally:
        sys.path.pop(0)
    assert normalised(name) == (GOLDEN / f"{name}.yaml").read_text(), "if the change is meant: make golden"


def test_three_checkouts_in_other_folders_and_environments_compile_to_the_same_bytes(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    configuration = "images: {repository: eu.example.org/p, tag: '7'}\nresources: {train: {cpu: 8, memory: 32G}}\n"
    specs = []
    for place, environment in (
        ("a", {"PROJECT_ID": "one"}),
        ("b/c", {"PROJECT_ID": "two", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}),
        ("d e", {"LANG": "C", "KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT": "true", "PYTHONHASHSEED": "8"}),
    ):
        checkout = tmp_path / place
        for package in ("components", "pipelines"):
            shutil.copytree(root / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
        (checkout / "seqline.yaml").write_text(configuration)
        code = (
            "import sys; from pathlib import Path; import pipelines; from seqline.cli import main; "
            "assert Path.cwd() in Path(pipelines.__file__).parents; sys.exit(main(['compile', '-o', 'spec.yaml']))"
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


def test_every_image_has_a_folder(tmp_path: Path) -> None:
    spec = yaml.safe_load(compile_pipeline("training", tmp_path / "spec.yaml").read_text())
    images = {entry["container"]["image"] for entry in spec["deploymentSpec"]["executors"].values()}
    folders = {path.parent.name for path in Path("containers").glob("*/Dockerfile")}
    assert {image.partition("/")[2].partition(":")[0] for image in images} <= folders


def test_an_unknown_pipeline_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pipeline is called 'trainin'; did you mean 'training'"):
        compile_pipeline("trainin", tmp_path / "spec.yaml")


def test_a_spec_is_a_yaml_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must end in \.yaml"):
        compile_pipeline("training", tmp_path / "spec.json")
    assert list(tmp_path.iterdir()) == []
