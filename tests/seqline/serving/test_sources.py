"""A serving container's model, from a folder or a bucket, over Cloud Storage's protocol."""

from pathlib import Path
from typing import Any

import pytest

from seqline.errors import UserError
from seqline.serving.sources import StorageSource
from tests import light_models
from tests.servers import client, running


@pytest.fixture
def bucket(cloud_storage: Any) -> Any:
    """A bucket named models."""
    cloud_storage.mkdir("models")
    return cloud_storage


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("location", ["gs://models/run 7/model", "gs://models/run 7/model/"])
def test_a_model_in_a_bucket_is_downloaded_without_other_files(bucket: Any, tmp_path: Path, location: str) -> None:
    model = tmp_path / "model"
    (model / "variables").mkdir(parents=True)
    (model / "assets").mkdir()
    (model / "saved_model.pb").write_bytes(b"\x00graph")
    (model / "variables" / "variables.index").write_bytes(b"index")
    (model / "assets" / "größe.model").write_bytes(b"")
    bucket.put(str(model), "models/run 7/", recursive=True)
    bucket.pipe("models/run 7/model-2/saved_model.pb", b"another")
    source = StorageSource(location)
    downloaded = source.model(1)
    assert downloaded is not None
    assert tree(downloaded) == tree(model)
    assert source.model(1) == downloaded
    assert source.model(2) is None


def test_a_bucket_s_folder_without_a_model_is_named(bucket: Any) -> None:
    bucket.pipe("models/other/notes.txt", b"no model")
    for location in ("gs://models/other", "gs://models/nowhere", "gs://missing/model"):
        with pytest.raises(UserError, match=rf"{location} contains no SavedModel"):
            StorageSource(location).model(1)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contains no SavedModel"):
        StorageSource(str(tmp_path))


@pytest.mark.e2e(seconds=3)
def test_the_server_answers_with_a_model_from_a_bucket(bucket: Any, tmp_path: Path) -> None:
    bucket.put(str(light_models.save(tmp_path / "loud", "upper")), "models/", recursive=True)
    with running(tmp_path, "gs://models/loud", **light_models.environment()) as server:
        answer = client.post(server.route, json={"instances": ["a"]}).json()
        assert answer == {"predictions": [{"text": "A", "score": 0.0}]}
