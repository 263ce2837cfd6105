"""Outputs in a mounted bucket: recognized, complete or refused."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from seqline.atomic import atomic_directory, atomic_write
from seqline.buckets import PAUSES, VARIABLE, in_bucket, mounted, patiently, upload
from tests.stand_ins.gcsfuse import Mount


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("time.sleep", found.append)
    return found


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write(path: Path, content: str = "1", names: tuple[str, ...] = ("a", "sub/b")) -> None:
    with atomic_directory(path, "manifest.json") as folder:
        for name in (*names, "manifest.json"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)


def test_a_bucket_is_recognized_by_its_path_or_its_file_system(bucket: Path, tmp_path: Path) -> None:
    assert in_bucket("/gcs/any-bucket/not/there/yet")
    assert in_bucket(bucket / "not" / "there" / "yet")
    assert not in_bucket(tmp_path)
    assert not in_bucket("/gcsother/x")
    (tmp_path / "link").symlink_to(bucket.parent)
    assert in_bucket(tmp_path / "link" / "x")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("fuse.gcsfuse", True),
        ("fuse", True),
        ("fuse.s3fs", True),
        ("fuse.rclone", True),
        ("ext4", False),
        ("nfs4", False),
        ("fuseblk", False),
        ("fuse.fuse-overlayfs", False),
    ],
)
def test_the_type_of_the_file_system_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, expected: bool
) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts.write_text(
        "21 1 0:999 / / rw - tmpfs none rw\n"
        f"36 35 {number} / /mnt/a\\040b rw,noatime shared:1 master:2 - {kind} /dev/x - y rw,errors=continue\n"
    )
    monkeypatch.setattr("seqline.buckets.MOUNTS", mounts)
    assert in_bucket(tmp_path / "new") == expected


def test_a_variable_decides_for_all_folders(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"/elsewhere:{tmp_path}")
    assert in_bucket(tmp_path / "x")
    assert not in_bucket(bucket)
    assert not in_bucket("/gcs/x")
    monkeypatch.setenv(VARIABLE, "")
    assert not in_bucket("/gcs/x")


def test_an_address_is_where_vertex_mounts_it() -> None:
    assert mounted("gs://bucket/a/b") == "/gcs/bucket/a/b"
    assert mounted("a/b") == "a/b"
    assert mounted("s3://bucket/a") == "s3://bucket/a"


def test_in_a_pod_of_kubeflow_no_bucket_is_mounted_below_gcs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFP_POD_NAME", "train-1")
    assert mounted("gs://bucket/a/b") == "gs://bucket/a/b"


def test_a_folder_is_built_on_this_machine_and_appears_in_the_bucket(bucket: Path) -> None:
    with atomic_directory(bucket / "out", "manifest.json") as folder:
        assert not in_bucket(folder)
        (folder / "manifest.json").write_text("{}")
        (folder / "big").write_bytes(b"x" * 1_000_000)
        (folder / "empty").mkdir()
        assert not bucket.exists()
    assert sorted(path.name for path in (bucket / "out").iterdir()) == ["big", "manifest.json"]
    assert (bucket / "out" / "big").stat().st_size == 1_000_000
    assert not folder.exists()


def test_a_folder_in_a_bucket_is_replaced_with_all_of_its_files(bucket: Path) -> None:
    write(bucket / "out", "old", ("a", "c"))
    write(bucket / "out", "new", ("a", "c/d"))
    assert files(bucket) == {"out/a": "new", "out/c/d": "new", "out/manifest.json": "new"}


def test_an_error_in_the_block_leaves_what_was_in_the_bucket(bucket: Path) -> None:
    write(bucket / "out")
    with pytest.raises(ZeroDivisionError), atomic_directory(bucket / "out", "manifest.json"):
        raise ZeroDivisionError
    assert files(bucket / "out") == {"a": "1", "sub/b": "1", "manifest.json": "1"}


@pytest.mark.parametrize("place", ["bucket", "tmp_path"])
def test_a_folder_without_its_manifest_does_not_appear(request: pytest.FixtureRequest, place: str) -> None:
    folder = request.getfixturevalue(place)
    with (
        pytest.raises(RuntimeError, match=r"out has no manifest\.json"),
        atomic_directory(folder / "out", "manifest.json"),
    ):
        pass
    assert not (folder / "out").exists()


@pytest.mark.parametrize("operation", ["create", "write", "flush", "rename", "unlink", "mkdir", "readdir", "getattr"])
def test_a_request_that_fails_once_is_repeated(mount: Mount, bucket: Path, operation: str, pauses: list[float]) -> None:
    write(bucket / "out", "old")
    mount.fail(operation, f"{bucket.name}/*", each=operation not in ("rename", "getattr"))
    write(bucket / "out", "new", ("a", "more/b"))
    assert mount.left() == []
    # shutil.copyfile begins anew itself, and in_bucket asks the folder above.
    assert pauses or operation in ("write", "getattr")
    mount.work()
    assert files(bucket / "out") == {"a": "new", "more/b": "new", "manifest.json": "new"}


def test_a_request_that_fails_for_long_is_an_error_and_the_folder_has_no_manifest(
    mount: Mount, bucket: Path, pauses: list[float]
) -> None:
    write(bucket / "out", "old")
    mount.fail("flush", "*/sub/b", times=99)
    with pytest.raises(OSError, match="Input/output error"):
        write(bucket / "out", "new")
    assert pauses == list(PAUSES)
    assert not (bucket / "out" / "manifest.json").exists()


def test_an_error_that_does_not_pass_is_raised_at_once(bucket: Path, pauses: list[float]) -> None:
    def missing() -> None:
        raise FileNotFoundError(errno.ENOENT, "missing")

    with pytest.raises(FileNotFoundError):
        patiently(missing, bucket)
    assert pauses == []


def test_on_a_disk_nothing_is_repeated(tmp_path: Path, pauses: list[float]) -> None:
    def broken() -> None:
        raise OSError(errno.EIO, "the disk is broken")

    with pytest.raises(OSError, match="the disk is broken"):
        patiently(broken, tmp_path)
    assert pauses == []


def test_a_copy_that_lost_its_end_is_repeated(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("12345")
    copy = shutil.copyfile

    def cut(source: Path, target: Path) -> None:
        monkeypatch.setattr(shutil, "copyfile", copy)
        Path(target).write_text("123")

    monkeypatch.setattr(shutil, "copyfile", cut)
    upload(tmp_path / "x", bucket / "deep" / "x")
    assert (bucket / "deep" / "x").read_text() == "12345"


def test_a_text_in_a_bucket_is_replaced_as_one(mount: Mount, bucket: Path) -> None:
    atomic_write(bucket / "very" / "deep" / "x.json", "old")
    mount.fail("flush", f"{bucket.name}/*")
    atomic_write(bucket / "very" / "deep" / "x.json", "new")
    assert files(bucket) == {"very/deep/x.json": "new"}


def killed(action: Callable[[], None]) -> bool:
    """Runs an action in a process of its own; whether that was killed."""
    if (pid := os.fork()) == 0:
        try:
            action()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("unlink", "*/manifest.json"),
        ("unlink", "*/sub/b"),
        ("mkdir", "*/sub"),
        ("create", "*/a"),
        ("write", "*/sub/b"),
        ("flush", "*/sub/b"),
        ("create", "*/.manifest.json.*"),
        ("write", "*/.manifest.json.*"),
        ("rename", "*/.manifest.json.*"),
    ],
)
def test_killed_at_any_point_a_folder_is_complete_or_has_no_manifest_and_the_second_run_succeeds(
    mount: Mount, bucket: Path, operation: str, path: str
) -> None:
    write(bucket / "out", "old")
    mount.kill(operation, f"{bucket.name}/out{path[1:]}")
    content = "new" * 100_000
    assert killed(lambda: write(bucket / "out", content))
    assert mount.left() == []
    left = files(bucket / "out")
    if "manifest.json" in left:
        assert {left[name] for name in ("a", "sub/b", "manifest.json")} == {content}
    write(bucket / "out", content)
    assert files(bucket / "out") == {"a": content, "sub/b": content, "manifest.json": content}
