"""Shards: together they hold the input, whatever their size."""

import bz2
import gzip
import tempfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.predictions import Counts
from seqline.components.infer.shards import Work
from seqline.errors import UserError
from tests.examples import examples
from tests.stand_ins.gcsfuse import Mount

PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstandard.compress}


@examples(40)
@given(
    st.lists(st.text("ab é\r\u2028\x85\f", max_size=5), max_size=30),
    st.booleans(),
    st.integers(1, 40),
    st.sampled_from(sorted(PACK)),
)
def test_shards_hold_every_line_once_in_order(lines: list[str], ended: bool, shard_lines: int, packed: str) -> None:
    content = ("\n".join(lines) + ("\n" if ended and lines else "")).encode()
    expected = content.split(b"\n")
    expected = expected if expected[-1] else expected[:-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"in.txt{packed}"
        path.write_bytes(PACK[packed](content))
        shards = Work(f"{folder}/work").plan([str(path)], shard_lines)
        read = [line.instance for shard in shards for line in shard.read("source")]
        assert read == [line.decode().rstrip("\r") for line in expected]
        assert [shard.first_line for shard in shards] == list(range(1, len(expected) + 1, shard_lines))


def test_shards_are_joined_in_order_and_counted(tmp_path: Path) -> None:
    work = Work(str(tmp_path / "batch" / "work"))
    work.write(1, Counts(1, 0, {"empty": 1}), ['{"n": 3}'])
    work.write(0, Counts(2, 2), ['{"n": 1}', '{"n": 2}'])
    assert work.finished() == {0, 1}
    total = work.gather(2, tmp_path / "out.jsonl")
    assert (total, total.malformed) == (Counts(3, 2, {"empty": 1}), 0)
    assert (tmp_path / "out.jsonl").read_text() == '{"n": 1}\n{"n": 2}\n{"n": 3}\n'
    work.delete()
    assert not (tmp_path / "batch").exists()


@pytest.mark.parametrize("lost", [1, 5, 10, 30])
def test_a_shard_that_was_cut_short_is_not_finished_and_not_joined(tmp_path: Path, lost: int) -> None:
    # A copy of a folder, or a full disk, may leave a part of a file.
    work = Work(str(tmp_path / "work"))
    for number in (0, 1):
        work.write(number, Counts(2, 2), ['{"n": 1}', '{"n": 2}'])
    (shard,) = (tmp_path / "work").glob("*1.jsonl")
    shard.write_bytes(shard.read_bytes()[:-lost])
    assert work.finished() == {0}
    with pytest.raises(UserError, match=r"shard-00000001\.jsonl is missing or truncated"):
        work.gather(2, tmp_path / "out.jsonl")


def test_a_truncated_compressed_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.txt.gz"
    path.write_bytes(gzip.compress(b"a\n" * 1000)[:-12])
    with pytest.raises(UserError, match=r"in\.txt\.gz cannot be read: .*; check whether the file is complete"):
        Work(str(tmp_path / "work")).plan([str(path)], 10)
    assert not list((tmp_path / "work").glob("*.unpacked"))


def test_parts_that_were_compressed_apart_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "in.txt.gz"
    # The first part has no line break at its end, and a tape fills the last block with zeros.
    path.write_bytes(gzip.compress(b"a\nb") + gzip.compress(b"\nc\n") + bytes(512))
    (shard,) = Work(str(tmp_path / "work")).plan([str(path)], 10)
    assert [line.text for line in shard.read("source")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("zwölf Katzen".encode("utf-16"), "line 1: the file is UTF-16 or UTF-32; convert it to UTF-8"),
        (gzip.compress(b"a\n"), "the content is compressed with gzip; add .gz to its name"),
        (b"PK\x03\x04 and more", "the file is a ZIP archive"),
    ],
    ids=["utf-16", "gzip", "zip"],
)
def test_a_file_that_is_no_text_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"in\.txt.*{message}"):
        Work(str(tmp_path / "work")).plan([str(tmp_path / "in.txt")], 10)


def test_in_a_bucket_shards_are_written_read_and_deleted_although_each_request_fails_once(
    mount: Mount, bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for operation in ("mkdir", "create", "write", "flush", "rename", "read", "unlink", "readdir"):
        mount.fail(operation, f"{bucket.name}/*", each=True)
    (tmp_path / "in.txt.gz").write_bytes(gzip.compress(b"a\nb\nc\n"))
    work = Work(str(bucket / "work"))
    mount.forget_empty_folders()
    shards = work.plan([str(tmp_path / "in.txt.gz")], 2)
    assert [line.text for shard in shards for line in shard.read("source")] == ["a", "b", "c"]
    work.write(1, Counts(1, 1), ['{"n": 3}'])
    work.write(0, Counts(2, 2), ['{"n": 1}', '{"n": 2}'])
    assert work.finished() == {0, 1}
    work.gather(2, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == '{"n": 1}\n{"n": 2}\n{"n": 3}\n'
    work.delete()
    assert not bucket.exists()
