"""Packages with plugins get into the images: from an index, from a wheel or from a project's folder."""

import re
from pathlib import Path

import pytest

from seqline.cli import main
from seqline.errors import UserError
from seqline.images.packages import gathered

CONTAINERS = Path(__file__).parents[3] / "containers"
# It keeps the context of a build with a Dockerfile for plugins, which is deleted afterwards.
DOCKER = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  build*plugins/Dockerfile*) for last; do :; done; rm -rf {folder}/context; cp -r "$last" {folder}/context ;;
  *--format=*Size*) echo 1000000 ;;
  *dpkg-query*) ;;
  run*) echo '{{"name": "sacrebleu", "version": "2", "summary": "", "licenses": []}}' ;;
esac
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "my_plugin-1.2-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def test_an_image_is_built_and_then_gets_the_packages(tmp_path: Path, wheel: Path) -> None:
    (tmp_path / "docker").write_text(DOCKER.format(log=tmp_path / "log.txt", folder=tmp_path))
    (tmp_path / "docker").chmod(0o755)
    flags = [f"--engine={tmp_path / 'docker'}", f"--containers={CONTAINERS}", f"--sbom={tmp_path / 'sbom'}"]
    flags += [f"--with={wheel}", "--with=other-plugin>=2", "--base-image=mirror/python:3.11"]
    assert main(["images", "build", "evaluate", "serve", *flags]) == 0
    builds = [line for line in (tmp_path / "log.txt").read_text().splitlines() if line.startswith("build ")]
    assert ["plugins/Dockerfile" in line for line in builds] == [False, True, False, True]
    tag = re.search(r"--tag=(\S+)", builds[0])[1]
    assert f"--tag={tag} " in builds[1]
    assert f"--build-arg=IMAGE={tag} " in builds[1]
    assert "--build-arg=BASE_IMAGE=mirror/python:3.11" in builds[1]
    context = tmp_path / "context"
    assert (context / "requirements.txt").read_text() == "my-plugin==1.2\nother-plugin>=2\n"
    assert (context / "wheels" / wheel.name).read_bytes() == b"a wheel"
    constraints = (context / "constraints.txt").read_text()
    assert re.search(r"^tensorflow-cpu==[\d.]+$|^tensorflow==[\d.]+$", constraints, re.MULTILINE)
    assert "--hash" not in constraints


def test_without_packages_nothing_is_added(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text(DOCKER.format(log=tmp_path / "log.txt", folder=tmp_path))
    (tmp_path / "docker").chmod(0o755)
    flags = [f"--engine={tmp_path / 'docker'}", f"--containers={CONTAINERS}", f"--sbom={tmp_path / 'sbom'}"]
    assert main(["images", "build", "evaluate", *flags]) == 0
    assert "plugins" not in (tmp_path / "log.txt").read_text()


def test_a_folder_becomes_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = tmp_path / "python"
    pip.write_text(
        '#!/bin/sh\nfor word; do case "$last" in --wheel-dir) touch "$word/my_plugin-3-py3-none-any.whl";; esac; '
        'last="$word"; done\n'
    )
    pip.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(pip))
    (tmp_path / "project").mkdir()
    with gathered([str(tmp_path / "project")]) as context:
        assert (context / "requirements.txt").read_text() == "my-plugin==3\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("my plugin", "--with my plugin: it is not a requirement such as my-plugin==1.2, and there is no folder"),
        ("./missing", "--with ./missing: it is not a requirement"),
        ("missing.whl", "--with missing.whl: there is no such wheel"),
    ],
)
def test_anything_else_is_refused(given: str, message: str) -> None:
    with pytest.raises(UserError, match=message), gathered([given]):
        pass


def test_a_project_that_does_not_build_and_a_renamed_wheel_are_refused(tmp_path: Path) -> None:
    (tmp_path / "plugin.whl").write_bytes(b"")
    with (
        pytest.raises(UserError, match=r"plugin.whl is not the name of a wheel"),
        gathered([str(tmp_path / "plugin.whl")]),
    ):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="the project does not build: "), gathered([str(tmp_path / "empty")]):
        pass


def test_both_dockerfiles_have_the_same_base() -> None:
    bases = [
        re.search(r"^ARG BASE_IMAGE=(\S+)$", path.read_text(), re.MULTILINE)[1]
        for path in (CONTAINERS / "Dockerfile", CONTAINERS / "plugins" / "Dockerfile")
    ]
    assert bases[0] == bases[1]
