"""Other Beam runners give the same corpus, and data may be in a bucket."""

import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seqline.components.tokenize.options import Options
from seqline.components.tokenize.runners import ONE_PROCESS_BYTES, flags
from seqline.components.tokenize.stage import tokenize
from seqline.errors import UserError
from tests.stand_ins.dataflow import Dataflow
from tests.stand_ins.server import Faults, serving

OPTIONS = Options(vocabulary_size=320, valid_share=0.1, test_share=0.1, shards=2)
LINES = "".join(f"number {number} of cats\tZahl {number} von Katzen\n" for number in range(100))
IMAGE = "europe-docker.pkg.dev/my-project/seqline/tokenize@sha256:" + "0" * 64


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus made on this machine."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "pairs.tsv").write_text(LINES)
    tokenize(str(folder / "pairs.tsv"), folder / "corpus", folder / "report.html", options=OPTIONS)
    return folder


@pytest.fixture
def bucket(cloud_storage: Any) -> Any:
    """A bucket called texts."""
    cloud_storage.mkdir("texts")
    return cloud_storage


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@pytest.mark.parametrize(
    ("given", "size", "expected"),
    [
        ("", 1, ["--runner=FnApiRunner"]),
        ("--runner PortableRunner", 1 << 40, ["--runner", "PortableRunner"]),
        ("--a='b c'", 1, ["--runner=FnApiRunner", "--a=b c"]),
    ],
)
def test_the_runner_is_beam_s_own_unless_another_is_requested(given: str, size: int, expected: list[str]) -> None:
    assert flags(given, size) == expected
    assert "--direct_num_workers=0" in flags("", ONE_PROCESS_BYTES + 1)


def test_data_in_a_bucket_give_the_same_corpus(here: Path, bucket: Any, tmp_path: Path) -> None:
    bucket.pipe("texts/in/pairs-1.tsv", LINES.encode()[: LINES.index("number 50")])
    bucket.pipe("texts/in/pairs-2.tsv", LINES.encode()[LINES.index("number 50") :])
    bucket.put(str(here / "corpus"), "texts/before", recursive=True)
    manifest = tokenize(
        "gs://texts/in/pairs-*.tsv", tmp_path / "corpus", tmp_path / "report.html", previous_corpus="gs://texts/before",
        options=OPTIONS.with_values(expectations={"max_piece_drift": 0.0}),
    )  # fmt: skip
    assert manifest.counts.read == 100
    assert shards(tmp_path / "corpus") == shards(here / "corpus")
    with pytest.raises(UserError, match=r"no such file: gs://texts/nothing.tsv"):
        tokenize("gs://texts/nothing.tsv", tmp_path / "none", tmp_path / "report.html")


def test_dataflow_needs_a_folder_in_a_bucket(here: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="DataflowRunner needs --temp_location=gs://"):
        tokenize(str(here / "pairs.tsv"), tmp_path / "corpus", tmp_path / "r", beam_options="--runner=DataflowRunner")


def dataflow_flags(address: str) -> str:
    return (
        f"--runner=DataflowRunner --dataflow_endpoint={address.replace('127.0.0.1', 'localhost')} --no_auth "
        "--project=my-project --region=europe-west4 --temp_location=gs://texts/temp "
        "--staging_location=gs://texts/staging "
        f"--sdk_location=container --sdk_container_image={IMAGE} --job_name=seqline-tokenize"
    )


@pytest.mark.e2e
def test_dataflow_runs_the_stage_in_its_image(here: Path, bucket: Any, tmp_path: Path) -> None:
    bucket.pipe("texts/in/pairs.tsv", LINES.encode())
    service = Dataflow()
    with serving(service, Faults()) as address:
        tokenize(
            "gs://texts/in/pairs.tsv", tmp_path / "corpus", tmp_path / "report.html", options=OPTIONS,
            beam_options=dataflow_flags(address),
        )  # fmt: skip
    (job,) = service.jobs
    assert job.name == "seqline-tokenize"
    assert {pool.worker_harness_container_image for pool in job.environment.worker_pools} == {IMAGE}
    assert {
        image.container_image for pool in job.environment.worker_pools for image in pool.sdk_harness_container_images
    } == {IMAGE}
    assert shards(tmp_path / "corpus") == shards(here / "corpus")
    assert not bucket.find("texts/temp/")


@pytest.mark.e2e
def test_a_runner_that_leaves_nothing_is_a_message(bucket: Any, tmp_path: Path) -> None:
    bucket.pipe("texts/in/pairs.tsv", LINES.encode())
    with serving(Dataflow(runs=False), Faults()) as address, pytest.raises(UserError, match="left nothing in gs://"):
        tokenize(
            "gs://texts/in/pairs.tsv", tmp_path / "corpus", tmp_path / "report.html",
            beam_options=dataflow_flags(address),
        )  # fmt: skip
    assert not (tmp_path / "corpus").exists()


@pytest.fixture
def job_server() -> Iterator[int]:
    """Beam's own portable job server."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", f"--port={port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                with socket.socket() as tried:
                    if not tried.connect_ex(("127.0.0.1", port)):
                        break
                time.sleep(0.1)
            yield port
        finally:
            server.terminate()


@pytest.mark.e2e
def test_a_portable_job_server_with_worker_processes_gives_the_same_corpus(
    here: Path, job_server: int, tmp_path: Path
) -> None:
    worker = shlex.quote(f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main")
    tokenize(
        str(here / "pairs.tsv"), tmp_path / "corpus", tmp_path / "report.html", options=OPTIONS,
        beam_options=f"--runner=PortableRunner --job_endpoint=localhost:{job_server} "
        f"--environment_type=beam:env:harness_subprocess_python:v1 --environment_config={worker}",
    )  # fmt: skip
    assert shards(tmp_path / "corpus") == shards(here / "corpus")
