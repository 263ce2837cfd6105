from pathlib import Path

import pytest

from seqline.atomic import atomic_directory, atomic_write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "a" / "out") as folder:
        (folder / "x").write_text("1")
        assert not (tmp_path / "a" / "out").exists()
    assert (tmp_path / "a" / "out" / "x").read_text() == "1"
    assert names(tmp_path / "a") == ["out"]


def test_an_error_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_directory(tmp_path / "out") as folder:
        (folder / "x").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "out" / "x").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_folder_is_replaced_as_one(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_directory(tmp_path / "out") as folder:
            (folder / content).touch()
    assert names(tmp_path / "out") == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_file_is_replaced_as_one(tmp_path: Path) -> None:
    atomic_write(tmp_path / "deep" / "x.json", "1")
    atomic_write(tmp_path / "deep" / "x.json", "2")
    assert (tmp_path / "deep" / "x.json").read_text() == "2"
    assert names(tmp_path / "deep") == ["x.json"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    atomic_write(tmp_path / "x", "old")
    with pytest.raises(UnicodeEncodeError):
        atomic_write(tmp_path / "x", "\ud800")
    assert (tmp_path / "x").read_text() == "old"
    assert names(tmp_path) == ["x"]
