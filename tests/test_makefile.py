"""The Makefile's targets that delete."""

import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"


def make(target: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["make", "-f", str(MAKEFILE), target], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout after a run, with an endpoint."""
    for folder in ("build", ".seqline/endpoints/demo/versions", ".seqline/checkpoints", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def stop_with(checkout: Path, code: int) -> None:
    """Makes `seqline endpoint stop` log its arguments and end with an exit code."""
    script = checkout / ".venv" / "bin" / "seqline"
    script.write_text(f'#!/bin/sh\necho "$@" > {checkout / "arguments"}\nexit {code}\n')
    script.chmod(0o755)


def test_clean_removes_only_what_can_be_rebuilt(checkout: Path) -> None:
    assert make("clean", checkout).returncode == 0
    assert not (checkout / "build").exists()
    assert (checkout / ".seqline/endpoints/demo/versions").is_dir()
    assert (checkout / ".seqline/checkpoints").is_dir()


def test_models_are_deleted_after_their_servers_have_stopped(checkout: Path) -> None:
    stop_with(checkout, 0)
    assert make("delete-laptop", checkout).returncode == 0
    assert (checkout / "arguments").read_text() == "endpoint stop --all --yes\n"
    assert not (checkout / ".seqline").exists()


@pytest.mark.parametrize("installed", [True, False])
def test_models_stay_if_a_server_does_not_stop(checkout: Path, installed: bool) -> None:
    if installed:
        stop_with(checkout, 1)
    assert make("delete-laptop", checkout).returncode != 0
    assert (checkout / ".seqline/endpoints/demo/versions").is_dir()
