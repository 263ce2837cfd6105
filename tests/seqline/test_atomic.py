import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE, S_ISDIR

import pytest

from seqline.atomic import _exchange, atomic_directory, atomic_write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_a_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "a" / "b" / "out", "x") as folder:
        (folder / "x").write_text("1")
        assert not (tmp_path / "a" / "b" / "out").exists()
    assert (tmp_path / "a" / "b" / "out" / "x").read_text() == "1"
    assert names(tmp_path / "a" / "b") == ["out"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_leaves_nothing_and_keeps_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("old")
    with pytest.raises(error), atomic_directory(tmp_path / "out", "x") as folder:
        (folder / "x").write_text("half")
        raise error
    assert (tmp_path / "out" / "x").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_folder_is_replaced_as_one(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_directory(tmp_path / "out", content) as folder:
            (folder / content).touch()
    assert names(tmp_path / "out") == ["new"]
    assert names(tmp_path) == ["out"]


@pytest.mark.usefixtures("umask")
def test_other_users_can_read_a_folder_and_a_file_whatever_the_umask(tmp_path: Path) -> None:
    for _ in range(2):
        with atomic_directory(tmp_path / "out", "x") as folder:
            (folder / "x").touch()
        atomic_write(tmp_path / "x", "1")
        assert S_IMODE((tmp_path / "out").stat().st_mode) == 0o755
        assert S_IMODE((tmp_path / "x").stat().st_mode) == 0o644


def test_a_file_is_replaced_as_one(tmp_path: Path) -> None:
    atomic_write(tmp_path / "very" / "deep" / "x.json", "1")
    atomic_write(tmp_path / "very" / "deep" / "x.json", "2")
    assert (tmp_path / "very" / "deep" / "x.json").read_text() == "2"
    assert names(tmp_path / "very" / "deep") == ["x.json"]


def test_a_file_is_whole_on_the_disk_before_it_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # After a power failure a rename may be on the disk without the text, unless the text is synced first.
    atomic_write(tmp_path / "x", "old")
    synced = []

    def fsync(descriptor: int) -> None:
        folder = S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append(
            ("" if folder else os.pread(descriptor, 100, 0).decode(), (tmp_path / "x").read_text(encoding="utf-8"))
        )

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write(tmp_path / "x", "new ü")
    # The file before it is renamed, the folder, which lists it, after.
    assert synced == [("new ü", "old"), ("", "new ü")]


def test_a_folder_is_whole_on_the_disk_before_it_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []

    def fsync(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, (tmp_path / "out").exists()))

    with atomic_directory(tmp_path / "out", "a") as folder:
        (folder / "sub").mkdir()
        for name in ("a", "sub/b"):
            (folder / name).write_text("1")
        (folder / "link").symlink_to("nowhere")
        monkeypatch.setattr(os, "fsync", fsync)
    (*inside, (parent, appeared)) = synced
    assert [name for name, _ in inside] == ["b", "sub", "a", folder.name]
    assert not any(appeared for _, appeared in inside)
    assert (parent, appeared) == (tmp_path.name, True)


def test_a_folder_that_is_replaced_is_always_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with atomic_directory(tmp_path / "out", "old") as folder:
        (folder / "old").touch()

    def renamed(*_: object) -> None:
        raise AssertionError("two renames have a moment without the folder between them")

    monkeypatch.setattr(Path, "rename", renamed)
    with atomic_directory(tmp_path / "out", "new") as folder:
        (folder / "new").touch()
    assert names(tmp_path / "out") == ["new"]
    assert names(tmp_path) == ["out"]


def test_without_an_exchange_of_names_a_folder_is_replaced_in_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqline.atomic._exchange", lambda first, second: False)
    for content in ("old", "new"):
        with atomic_directory(tmp_path / "out", content) as folder:
            (folder / content).touch()
    assert names(tmp_path / "out") == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_text_that_is_not_unicode_leaves_the_old_file(tmp_path: Path) -> None:
    atomic_write(tmp_path / "x", "old")
    with pytest.raises(UnicodeEncodeError):
        atomic_write(tmp_path / "x", "\ud800")
    assert (tmp_path / "x").read_text() == "old"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_file_that_cannot_be_synced_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], gone: bool
) -> None:
    atomic_write(tmp_path / "x", "old")

    def fsync(_: int) -> None:
        for unfinished in tmp_path.glob(".x.*"):
            if gone:
                unfinished.unlink()
        raise error("the disk is full")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(error, match="the disk is full"):
        atomic_write(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_an_exchange_that_fails_is_an_error_and_not_a_file_system_without_exchanges(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError, match="none"):
        _exchange(tmp_path / "none", tmp_path / "one")
