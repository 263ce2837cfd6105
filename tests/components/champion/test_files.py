"""Files of a version in a bucket; fsspec's own file system in memory stands in for one."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from seqline.components.champion.files import read_files
from seqline.errors import UserError
from tests import light_models


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    memory = fsspec.filesystem("memory")
    memory.put(str(light_models.save(tmp_path / "loud", "upper")), "/bucket/model", recursive=True)
    yield "memory://bucket/model"
    memory.rm("/bucket", recursive=True)


def test_a_version_in_a_bucket_is_read(bucket: str) -> None:
    assert read_files(bucket, "loud") == read_files(f"{bucket}/", "loud")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("", "its address is missing"),
        ("memory://bucket/other", "its files are missing: memory://bucket/other"),
        ("nowhere://bucket/model", "its files cannot be read: nowhere://bucket/model: Protocol not known"),
    ],
)
def test_an_address_that_cannot_be_read_is_a_problem(address: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        read_files(address, "loud")


def test_files_of_another_model_are_a_problem(bucket: str) -> None:
    with pytest.raises(UserError, match=r"its files are another model's: .* has the fingerprint loud"):
        read_files(bucket, "quiet")
