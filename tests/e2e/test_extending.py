"""The project of docs/extending.md, with Seqline's wheel installed: every extension works as the page says."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.plugin_packages import files_of_the_page
from tests.sharing import made_once

ROOT = Path(__file__).parents[2]
GATE = [
    {"metric": "numbers_kept", "minimum": 90, "slices": "length"},
    {"metric": "length_gap", "maximum": 50, "confident": True},
    {"metric": "headline", "minimum": 0},
]


def build(project: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's files in project/, and both wheels installed in site/."""

    def make(folder: Path) -> None:
        for name, content in files_of_the_page().items():
            path = folder / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        rows = [f"Sentence {n} has {n % 7} words\tsentence {n} has {n % 7} words" for n in range(300)]
        rows += [f"THIS IS LOUD {n}\tthis is loud {n}" for n in range(5)]
        (folder / "project" / "pairs.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        for source, name in ((ROOT, "seqline"), (folder / "project", "plugin")):
            zipfile.ZipFile(build(source, folder / name)).extractall(folder / "site")

    return made_once(tmp_path_factory, "extending", make)


def run(project: Path, *arguments: str, code: int = 0) -> str:
    """Runs Python in the project's folder; returns what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(project / "site"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project / "project",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def seqline(*arguments: str) -> tuple[str, ...]:
    return ("-m", "seqline.cli", *arguments)


@pytest.mark.e2e(seconds=60)
def test_a_model_is_released_by_a_metric_a_rule_and_a_notifier_of_the_project(project: Path) -> None:
    run(project, "make_model.py", "my_model")
    options = {
        "gate": GATE,
        "corpus": {
            "rules": {"shouting": True, "identical": False},
            "vocabulary_size": 300,
            "valid_share": 0.1,
            "test_share": 0.2,
        },
        "notification": {"notifiers": {"log_file": {"path": str(project / "runs.txt")}}},
    }
    flags = ["--set=model=my_model", "--set=endpoint=", *(f"--set={key}={json.dumps(options[key])}" for key in options)]
    run(project, *seqline("run", "--pipeline", "release", "--data", "pairs.tsv", *flags))
    (folder,) = (project / "project" / ".seqline" / "runs").glob("*")

    def artifact(pattern: str) -> Any:
        (found,) = folder.glob(pattern)
        return json.loads(found.read_text(encoding="utf-8"))

    decision = artifact("bless/decision/decision.json")
    assert decision["blessed"], decision
    assert [rule["rule"].partition(" at ")[0] for rule in decision["rules"][:2]] == [
        "Numbers kept",
        "Gap of lengths",
    ]
    measured = artifact("evaluate/evaluation/evaluation.json")
    assert measured["metrics"]["numbers_kept"]["value"] == 100
    assert measured["metrics"]["length_gap"]["signature"] == "characters|my-plugin==1.0"
    assert artifact("tokenize/corpus/manifest.json")["counts"]["rejected"]["shouting"] == 5
    report = next(folder.glob("evaluate/report*")).read_text(encoding="utf-8")
    assert "Numbers kept, %" in report
    assert "The challenger was blessed and not deployed." in (project / "runs.txt").read_text()


@pytest.mark.e2e(seconds=10)
def test_pipelines_targets_and_architectures_are_found_and_ejected_ones_compile_alike(project: Path) -> None:
    (project / "project" / "spool.yaml").write_text("target: spool\ntargets: {spool: {folder: spool}}\n")
    nightly = ["--pipeline", "my_plugin.dag:nightly", "--set", "channel=alerts"]
    code = f"""
import sys, seqline
from seqline.cli import main
assert "site" in seqline.__file__, seqline.__file__
def do(*arguments):
    assert main(list(arguments)) == 0, arguments
do("compile", "-o", "module.yaml", *{nightly})
do("compile", "-o", "entry.yaml", "--pipeline", "nightly", "--set", "channel=alerts")
do("eject", "training", "my_training.py")
do("compile", "-o", "mine.yaml", "--pipeline", "my_training.py", "--set", "training.architecture=deep_encoder")
do("compile", "-o", "ours.yaml", "--set", "training.architecture=deep_encoder")
do("run", "--config", "spool.yaml", "--set", "data=pairs.tsv", "--no-watch")
assert main(["compile", "-o", "x.yaml", "--set", "training.architecture=deep_encodr"]) == 1
"""
    printed = run(project, "-c", code)
    assert "did you mean 'deep_encoder'" in printed
    read = {name: (project / "project" / f"{name}.yaml").read_text() for name in ("module", "entry", "mine", "ours")}
    assert read["module"] == read["entry"]
    assert read["mine"] == read["ours"]
    assert "alerts" in read["module"]
    (file,) = (project / "project" / "spool").glob("*.json")
    assert json.loads(file.read_text())["arguments"] == {"data": "pairs.tsv"}
