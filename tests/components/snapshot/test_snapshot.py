"""The snapshot stage: what its fingerprint depends on, and which data it refuses."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.snapshot.stage import Snapshot, check_and_snapshot, snapshot
from seqline.errors import UserError
from seqline.inputs.files import InputFile, describe, find_files
from seqline.inputs.fingerprint import describe_all, fingerprint_of, folder_fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.tsv").write_text("one\teins\n")
    (data / "b.tsv").write_text("two\tzwei\n")
    return data


def take(data: object, tmp_path: Path) -> str:
    return snapshot(str(data), tmp_path / "snapshot")


def test_lists_every_file_with_size_and_checksum(folder: Path, tmp_path: Path) -> None:
    fingerprint = take(folder / "*.tsv", tmp_path)
    record = json.loads((tmp_path / "snapshot" / "snapshot.json").read_text())
    assert record["schema_version"] == 1
    assert record["data"] == f"{folder}/*.tsv"
    assert record["fingerprint"] == fingerprint
    assert [(Path(file["path"]).name, file["size"]) for file in record["files"]] == [("a.tsv", 9), ("b.tsv", 9)]
    assert all(file["checksum"].startswith("sha256:") for file in record["files"])


def test_a_snapshot_reads_back_as_written(folder: Path, tmp_path: Path) -> None:
    fingerprint = take(folder / "*.tsv", tmp_path)
    read = Snapshot.read(tmp_path / "snapshot" / "snapshot.json")
    assert (read.data, read.fingerprint) == (f"{folder}/*.tsv", fingerprint)
    assert fingerprint_of(read.files) == fingerprint


def test_order_pattern_and_repetition_do_not_matter(folder: Path, tmp_path: Path) -> None:
    a, b = folder / "a.tsv", folder / "b.tsv"
    given = (f"{a},{b}", f" {b} , {a},", f"{folder}/*.tsv", f"{folder}/?.tsv,{a}")
    assert len({take(data, tmp_path) for data in given}) == 1


def test_folder_and_time_do_not_matter(folder: Path, tmp_path: Path) -> None:
    first = take(folder / "a.tsv", tmp_path)
    other = tmp_path / "elsewhere" / "a.tsv"
    other.parent.mkdir()
    other.write_bytes((folder / "a.tsv").read_bytes())
    os.utime(other, (1, 1))
    assert take(other, tmp_path) == first


def test_content_and_name_matter(folder: Path, tmp_path: Path) -> None:
    first = take(folder / "a.tsv", tmp_path)
    renamed = (folder / "a.tsv").rename(folder / "a.jsonl")
    assert take(renamed, tmp_path) != first
    renamed.rename(folder / "a.tsv").write_text("one\tEins\n")
    assert take(folder / "a.tsv", tmp_path) != first


def test_validation_and_test_files_count_by_their_part(folder: Path, tmp_path: Path) -> None:
    a, b = str(folder / "a.tsv"), str(folder / "b.tsv")
    output = tmp_path / "snapshot"
    parts = [(a, "", ""), (f"{a},{b}", "", ""), (a, b, ""), (a, "", b), (b, a, "")]
    assert len({snapshot(data, output, valid, test) for data, valid, test in parts}) == len(parts)
    with pytest.raises(UserError, match=r"test_data: no such file: .*c.tsv"):
        snapshot(a, output, b, str(folder / "c.tsv"))


def test_relative_paths_are_written_out(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert find_files("a.tsv") == [str(folder / "a.tsv")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "data is empty"),
        (" , ", "data is empty"),
        ("{folder}/c.tsv", "no such file: .*c.tsv"),
        ("{folder}/*.jsonl", r"pattern .*\*.jsonl matches no file"),
        ("{folder}", "is a folder; .*pattern such as .*data/\\*.tsv"),
        ("{folder}/empty.tsv", "empty.tsv is empty"),
        ("nowhere://bucket/a.tsv", "nowhere://"),
        ("zip://a.tsv::{folder}/a.zip", r"a.zip: chained addresses \(::\) cannot be read; unpack the file"),
    ],
)
def test_bad_data_is_one_message_and_no_output(data: str, message: str, folder: Path, tmp_path: Path) -> None:
    (folder / "empty.tsv").touch()
    with pytest.raises(UserError, match=message):
        take(data.format(folder=folder), tmp_path)
    assert not (tmp_path / "snapshot").exists()


def test_a_url_is_read_through_fsspec(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/a.tsv", b"one\teins\n")
    (tmp_path / "a.tsv").write_bytes(b"one\teins\n")
    assert find_files("memory://bucket/*.tsv") == ["memory:///bucket/a.tsv"]
    assert take("memory://bucket/a.tsv", tmp_path) == take(tmp_path / "a.tsv", tmp_path)


def test_an_object_has_the_store_s_checksum_and_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/a.tsv", b"x")
    info = {"size": 7, "generation": 1717, "crc32c": "AAAAAA=="}
    monkeypatch.setattr(type(memory), "info", lambda self, path: info)
    assert describe("memory://bucket/a.tsv") == InputFile("memory://bucket/a.tsv", 7, "crc32c:AAAAAA==", "1717")


files = st.lists(st.builds(InputFile, st.text("ab/", min_size=1), st.integers(1, 9), st.text("01")), max_size=5)


@given(files, st.randoms())
def test_the_fingerprint_ignores_order(listed: list[InputFile], random: object) -> None:
    shuffled = list(listed)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fingerprint_of(shuffled) == fingerprint_of(listed)


def test_runs_alone(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "seqline.components.snapshot", "--output", str(tmp_path / "s"), "--data"]
    good = subprocess.run([*command, str(folder / "a.tsv")], capture_output=True, text=True, check=True)
    assert "fingerprint" in good.stderr
    bad = subprocess.run([*command, str(folder / "z.tsv")], capture_output=True, text=True)
    assert bad.returncode == 1
    assert bad.stderr.startswith("error: data: no such file")
    assert "Traceback" not in bad.stderr


def test_the_content_of_a_given_tokenizer_matters(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "given.model"
    model.write_bytes(b"one")

    def with_model() -> str:
        return snapshot(str(folder / "a.tsv"), tmp_path / "snapshot", tokenizer=str(model))

    first = with_model()
    assert first == with_model() != take(folder / "a.tsv", tmp_path)
    model.write_bytes(b"other")
    assert with_model() != first
    model.unlink()
    with pytest.raises(UserError, match=r"given.model cannot be read"):
        with_model()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "model.weights.h5").write_bytes(b"weights")
    (folder / "tokenizer" / "tokenizer.model").write_bytes(b"tokenizer")
    return folder


def started_from(folder: Path | str, data: Path, tmp_path: Path) -> str:
    """The fingerprint of a checkpoint to start from."""
    parameters = {"data": str(data / "a.tsv"), "warm_start": str(folder)}
    return str(check_and_snapshot(tmp_path / "snapshot", parameters)[1])


def test_another_checkpoint_at_the_same_path_has_another_fingerprint(
    folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    before = started_from(checkpoint, folder, tmp_path)
    moved = shutil.copytree(checkpoint, tmp_path / "moved")
    assert started_from(f"{moved}/", folder, tmp_path) == before
    (checkpoint / "model.weights.h5").write_bytes(b"weights of another seed")
    replaced = started_from(checkpoint, folder, tmp_path)
    (checkpoint / "tokenizer" / "tokenizer.model").rename(checkpoint / "tokenizer.model")
    assert len({before, replaced, started_from(checkpoint, folder, tmp_path)}) == 3
    assert check_and_snapshot(tmp_path / "snapshot", {"data": str(folder / "a.tsv")})[1] == ""


def test_a_folder_may_have_empty_files(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    first = folder_fingerprint(str(tmp_path), "warm_start")
    (tmp_path / ".gitkeep").touch()
    assert folder_fingerprint(str(tmp_path), "warm_start") != first


def test_an_empty_tokenizer_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").touch()
    with pytest.raises(UserError, match=r"^tokenizer: .*tokenizer.model is empty$"):
        describe_all(str(folder / "a.tsv"), tokenizer=str(tmp_path / "tokenizer.model"))


def test_a_file_of_unknown_length_is_refused(tmp_path: Path) -> None:
    class Chunked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"one\teins\n")

        do_HEAD = do_GET  # noqa: N815

    with HTTPServer(("127.0.0.1", 0), Chunked) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(UserError, match=r"a\.tsv: the server does not say how long the file is; download it"):
                describe_all(f"http://127.0.0.1:{server.server_port}/a.tsv")
        finally:
            server.shutdown()


def test_a_checkpoint_in_a_bucket_is_fingerprinted_there(folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    bucket = fsspec.filesystem("memory")
    bucket.put(str(checkpoint), "/bucket/checkpoint", recursive=True)
    address = "memory://bucket/checkpoint"
    assert started_from(address, folder, tmp_path) == started_from(checkpoint, folder, tmp_path)


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, Path.touch], ids=["missing", "empty", "file"])
def test_what_is_no_folder_of_a_checkpoint_is_refused_in_the_first_task(
    folder: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "none")
    with pytest.raises(UserError, match=r"warm_start: .*none is not a folder with files; check the path"):
        started_from(tmp_path / "none", folder, tmp_path)


def test_the_corpus_that_drift_is_measured_against_is_part_of_the_fingerprint(folder: Path, tmp_path: Path) -> None:
    previous = tmp_path / "previous"
    previous.mkdir()
    (previous / "statistics.json").write_text("{}")

    def fingerprint(previous_corpus: str) -> str:
        return snapshot(str(folder / "a.tsv"), tmp_path / "snapshot", previous_corpus=previous_corpus)

    before = fingerprint(str(previous))
    assert fingerprint(f"{previous}/") == before
    (previous / "statistics.json").write_text('{"other": 1}')
    assert len({before, fingerprint(str(previous)), fingerprint("")}) == 3
    with pytest.raises(UserError, match=r"none/statistics.json cannot be read"):
        fingerprint(str(tmp_path / "none"))


def test_a_name_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / "donn\udce9es.tsv").write_text("one\teins\n")
    for data in (f"{folder}/donn\udce9es.tsv", f"{folder}/*.tsv"):
        with pytest.raises(UserError, match=r"data: the name '.*donn\\udce9es\.tsv' is not UTF-8; rename the file"):
            find_files(data)
