"""The wheel: everything importable is below seqline, and the links of the checkout are real folders in it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import seqline

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_one_package_with_all_that_the_checkout_has(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"seqline"}
    for folder in ("components", "pipelines"):
        ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py")}
        assert ours <= {name.removeprefix("seqline/") for name in names}
    pages = {f"seqline/{path.relative_to(ROOT)}" for path in (ROOT / "components").rglob("*.html")}
    assert pages
    assert pages <= set(names)


def test_what_the_wheel_holds_compiles_a_pipeline_from_a_folder_with_packages_of_the_same_names(
    wheel: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    for name in ("components", "pipelines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    code = (
        "import sys; import seqline; assert 'installed' in seqline.__file__; "
        "from seqline.cli import main; sys.exit(main(['compile', '-o', 'spec.yaml']))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "installed"), "."])}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "spec.yaml").is_file()


def test_the_folders_of_the_checkout_are_reached_by_links_and_imported_by_one_name() -> None:
    package = Path(seqline.__file__).parent
    for name in ("components", "pipelines"):
        assert (package / name).resolve() == (ROOT / name).resolve()
        assert name not in sys.modules
