"""The wheel, which the images install: the linked folders are in it as real ones."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_contains_components_and_pipelines_inside_the_package(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("seqline-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"seqline/components/train/stage.py", "seqline/pipelines/training.py", "seqline/serving/page.html"} <= names
    code = {path.relative_to(ROOT) for folder in ("components", "pipelines") for path in (ROOT / folder).rglob("*.py")}
    assert {f"seqline/{path.as_posix()}" for path in code} <= names
    assert {name.split("/")[0] for name in names if not name.startswith("seqline-")} == {"seqline"}
