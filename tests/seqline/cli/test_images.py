"""`seqline images build`, with a stand-in of docker."""

from pathlib import Path

import pytest

from seqline.cli import main

CONTAINERS = Path(__file__).parents[3] / "containers"
BEAM = "registry.example.org/beam_python3.11_sdk"
DOCKER = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *--format=*Size*) echo 1000000 ;;
  *dpkg-query*) ;;
  run*) echo '{{"name": "apache-beam", "version": "2", "summary": "", "licenses": []}}' ;;
esac
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "docker").write_text(DOCKER.format(log=tmp_path / "log.txt"))
    (tmp_path / "docker").chmod(0o755)
    return tmp_path / "log.txt"


def build(log: Path, *flags: str) -> int:
    folders = [f"--containers={CONTAINERS}", f"--sbom={log.parent / 'sbom'}"]
    return main(["images", "build", "tokenize", f"--engine={log.parent / 'docker'}", *folders, *flags])


def test_the_image_of_beam_reaches_the_dockerfile(log: Path) -> None:
    version = (CONTAINERS / "tokenize" / "requirements.txt").read_text().partition("apache-beam==")[2].split()[0]
    assert build(log, f"--beam-image={BEAM}:{version}") == 0
    (command,) = [line for line in log.read_text().splitlines() if line.startswith("build ")]
    assert f"--build-arg=BEAM_IMAGE={BEAM}:{version} " in command
    assert (log.parent / "sbom" / "tokenize.cdx.json").is_file()


def test_without_one_the_dockerfile_names_it(log: Path) -> None:
    assert build(log, "--beam-image=") == 0  # as Cloud Build passes it on
    assert "BEAM_IMAGE" not in log.read_text()


def test_one_of_another_version_is_refused_before_anything_is_built(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(log, f"--beam-image={BEAM}:2.1.0") == 1
    assert f"--beam-image: {BEAM}:2.1.0 is Beam 2.1.0, but" in capsys.readouterr().err
    assert not log.exists() or "build " not in log.read_text()
