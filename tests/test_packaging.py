"""The wheel: everything importable is below seqline, and the links of the checkout are real folders in it."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import seqline.checking.installed
from seqline.checking.installed import require_installed
from seqline.documentation import PAGES, page
from seqline.errors import UserError
from seqline.images.build import find_images
from seqline.images.packaged import containers_of

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


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    package = Path(seqline.__file__).parent
    found = (Path(folder) / name for folder, _, names in os.walk(package, followlinks=True) for name in names)
    ours = {path.relative_to(package.parent).as_posix() for path in found if "__pycache__" not in path.parts}
    assert {"seqline/images/context/containers/Dockerfile", "seqline/configuration/starter.yaml"} <= ours
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == ours


def copied(dockerfile: Path) -> set[str]:
    """What a Dockerfile copies from the context of the build."""
    lines = re.findall(r"(?m)^COPY (?!--from)(.+)$", dockerfile.read_text(encoding="utf-8"))
    return {word.replace("${IMAGE}", "train") for line in lines for word in line.split()[:-1]}


def test_images_are_built_of_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with containers_of(None) as containers:
        context = containers.parent
        assert find_images(containers, []) == find_images(ROOT / "containers", [])
        for name in copied(containers / "Dockerfile"):
            assert (context / name).exists(), name
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
        subprocess.run(command, cwd=context, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(built).namelist())
    assert {"seqline/components/train/stage.py", "seqline/pipelines/training.py"} <= names
    assert not any("/context/" in name for name in names)
    assert not containers.exists()
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "Dockerfile").touch()
    with containers_of(None) as containers:
        assert containers == Path("containers")


def test_messages_name_pages_by_address() -> None:
    package = Path(seqline.__file__).parent
    files = (Path(folder) / name for folder, _, names in os.walk(package, followlinks=True) for name in names)
    for path in files:
        if path.suffix == ".py" and "context" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, (ast.Raise, ast.Yield)):
                    assert " docs/" not in ast.unparse(node), path
    assert page("kubeflow.md", "What a server must have").endswith("/docs/kubeflow.md#what-a-server-must-have")


def test_the_readme_links_by_address_because_the_package_s_page_shows_it() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    local = [link.removeprefix(f"{PAGES}/").partition("#")[0] for link in links if link.startswith(PAGES)]
    assert local
    assert all((ROOT / "docs" / name).is_file() for name in local)


def test_without_the_libraries_of_the_command_line_the_script_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('none', name='typer')\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    code = "import sys; from seqline.command import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs typer: install it" in done.stderr


def test_a_run_says_which_libraries_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    require_installed()
    monkeypatch.setattr(seqline.checking.installed, "LIBRARIES", (("kfp",), ("no-such-library", "no-other")))
    with pytest.raises(UserError, match=r'needs no-such-library; pip install "seqline\[laptop\]" installs them'):
        require_installed()
    monkeypatch.setattr(seqline.checking.installed, "LIBRARIES", (("no-such-library", "kfp"),))
    assert seqline.checking.installed.installed()[1] == []


def test_the_folders_of_the_checkout_are_reached_by_links_and_imported_by_one_name() -> None:
    package = Path(seqline.__file__).parent
    for name in ("components", "pipelines"):
        assert (package / name).resolve() == (ROOT / name).resolve()
        assert name not in sys.modules
