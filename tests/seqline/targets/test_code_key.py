from importlib import metadata
from pathlib import Path

import pytest

from seqline.targets import code_key
from seqline.targets.code_key import code_digest, libraries


def test_changed_code_has_another_digest_also_behind_a_link(tmp_path: Path) -> None:
    package, linked = tmp_path / "package", tmp_path / "linked"
    for folder in (package, linked / "stage", linked / "__pycache__"):
        folder.mkdir(parents=True)
    (package / "components").symlink_to("../linked")
    (linked / "stage" / "code.py").write_text("1")
    before = code_digest(package)
    (linked / "__pycache__" / "code.pyc").write_text("bytecode")
    assert code_digest(package) == before
    (linked / "stage" / "code.py").write_text("2")
    assert code_digest(package) != before


def test_the_libraries_are_those_that_the_stages_import_directly_or_not() -> None:
    names = {one.partition("==")[0] for one in libraries()}
    assert {"tensorflow", "numpy", "apache-beam", "kfp", "sentencepiece", "pydantic", "pydantic-core"} <= names
    assert not {"pytest", "ruff", "mypy"} & names


def test_another_version_of_a_library_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_key.code_key()
    version = metadata.Distribution.version
    monkeypatch.setattr(
        metadata.Distribution,
        "version",
        property(lambda self: version.fget(self) + ".post1"),  # type: ignore[attr-defined]
    )
    libraries.cache_clear()
    try:
        assert code_key.code_key() != before
    finally:
        monkeypatch.undo()
        libraries.cache_clear()
    assert code_key.code_key() == before


def test_the_libraries_are_read_again_after_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages, known = tmp_path / "packages", tmp_path / "home" / "libraries.json"
    (packages / "one-1.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(packages))
    found = [{"one==1.0"}, {"one==2.0"}, {"one==2.0"}]
    monkeypatch.setattr(code_key, "libraries", lambda: frozenset(found.pop(0)))
    first = code_key.code_key(known)
    assert code_key.code_key(known) == first
    assert len(found) == 2
    (packages / "one-1.0.dist-info").rename(packages / "one-2.0.dist-info")
    second = code_key.code_key(known)
    assert second != first
    known.write_text("broken")
    assert code_key.code_key(known) == second == code_key.code_key(known)
    assert not found
