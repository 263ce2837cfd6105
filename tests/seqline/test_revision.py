"""The commit of a checkout, and the version at the foot of a report."""

import subprocess
from pathlib import Path

import pytest

from seqline.revision import VARIABLE, made_by, revision


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def a_checkout(folder: Path) -> Path:
    git(folder, "init")
    (folder / "a").write_text("1")
    git(folder, "add", "a")
    git(folder, "commit", "--message=one")
    return folder


def test_the_revision_is_marked_when_files_differ_from_it(tmp_path: Path) -> None:
    assert revision(tmp_path) == "unknown"
    clean = revision(a_checkout(tmp_path))
    assert len(clean) == 40
    (tmp_path / "a").write_text("2")
    assert revision(tmp_path) == f"{clean}-dirty"


def test_a_checkout_is_named_by_its_commit_and_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    clean = revision(a_checkout(tmp_path))
    package = tmp_path / "seqline"
    assert made_by(package).endswith(f", commit {clean[:12]}")
    (tmp_path / "a").write_text("2")
    made_by.cache_clear()
    assert made_by(package).endswith(f", commit {clean[:12]} with changes")


def test_a_package_installed_inside_another_checkout_does_not_take_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    package = a_checkout(tmp_path) / ".venv/lib/python3.11/site-packages/seqline"
    package.mkdir(parents=True)
    assert "commit" not in made_by(package)


def test_an_image_is_named_by_the_commit_that_it_was_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "0123456789abcdef0123456789abcdef01234567-dirty")
    assert made_by(tmp_path / "image").endswith(", commit 0123456789ab with changes")
    monkeypatch.setenv(VARIABLE, "unknown")
    assert "commit" not in made_by(tmp_path / "no-checkout")
