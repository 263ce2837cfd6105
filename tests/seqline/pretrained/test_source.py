"""Where checkpoints come from, what their fingerprint holds, and what is downloaded."""

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from seqline.errors import UserError
from seqline.pretrained.source import Found, find, opened
from tests import pretrained_checkpoints as checkpoints
from tests.stand_ins.hub import Hub, Repository

NAME = "hf://org/name@main"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return checkpoints.write(tmp_path / "checkpoint", "llama2")


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    with Hub.running() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        repository = running.repositories["org/name"] = Repository()
        repository.commit({**files_of(folder), "README.md": b"about", "pytorch_model.bin": b"pickle"})
        yield running


def read(found: Found) -> dict[str, bytes]:
    with opened(found) as folder:
        return {name: (folder / name).read_bytes() for name in found.files}


def test_a_folder_a_bucket_and_the_hub_give_the_same_files(folder: Path, hub: Hub) -> None:
    memory = fsspec.filesystem("memory")
    for name, content in files_of(folder).items():
        memory.pipe(f"/models/llama/{name}", content)
    expected = files_of(folder)
    for address in (str(folder), "memory://models/llama", NAME):
        assert read(find(address)) == expected


def test_only_the_files_that_are_read_are_downloaded(hub: Hub) -> None:
    read(find(NAME))
    assert sorted(hub.downloaded) == ["config.json", "model.safetensors"]


def test_a_file_that_is_in_the_cache_is_not_downloaded_again(hub: Hub) -> None:
    found = find(NAME)
    read(found)
    hub.requests.clear()
    read(found)
    assert not hub.downloaded


def test_a_branch_is_pinned_to_its_commit(hub: Hub) -> None:
    repository = hub.repositories["org/name"]
    before, first = find(NAME), repository.branches["main"]
    assert before.address == f"hf://org/name@{first}"
    assert find("hf://org/name").address == before.address
    changed = repository.commit({**repository.commits[first], "config.json": b'{"model_type": "t5"}'})
    after = find(NAME)
    assert after.address == f"hf://org/name@{changed}"
    assert after.fingerprint != before.fingerprint == find(before.address).fingerprint
    assert read(before)["config.json"] == repository.commits[first]["config.json"]


def test_a_branch_with_a_slash_is_a_revision(hub: Hub, folder: Path) -> None:
    commit = hub.repositories["org/name"].commit(files_of(folder), branch="refs/pr/3")
    assert find("hf://org/name@refs/pr/3").address == f"hf://org/name@{commit}"


def test_files_that_are_not_read_do_not_change_the_fingerprint(hub: Hub, folder: Path) -> None:
    first = find(NAME).fingerprint
    hub.repositories["org/name"].commit({**files_of(folder), "README.md": b"new"})
    assert find(NAME).fingerprint == first


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_the_content_of_each_file_counts(name: str, folder: Path) -> None:
    first = find(str(folder)).fingerprint
    (folder / "README.md").write_text("about")
    assert find(str(folder)).fingerprint == first
    file = folder / name
    file.write_bytes((file.read_bytes() if file.exists() else b"") + b" ")
    assert find(str(folder)).fingerprint != first


def test_a_download_that_breaks_off_goes_on_where_it_was(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    found = find(NAME)
    hub.cut.add("model.safetensors")
    assert (
        read(found)["model.safetensors"]
        == hub.repositories["org/name"].commits[found.address[-40:]]["model.safetensors"]
    )


def test_the_files_of_a_gated_model_need_a_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["org/name"].gated = True
    with pytest.raises(UserError, match=r"accept the model's license on its page on the Hub, and set HF_TOKEN"):
        find(NAME)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    read(find(NAME))


def test_a_private_model_needs_a_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["org/name"].private = True
    with pytest.raises(UserError, match=r"has no model org/name, or it is private: .* set HF_TOKEN"):
        find(NAME)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match="cannot be read from http://127"):
        find(NAME)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    find(NAME)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("hf://org/other@main", "the Hub has no model org/other, or it is private"),
        ("hf://org/name@v9", "org/name has no revision v9; check the revision"),
        ("hf://org", r"not the address of a model on the Hub: write hf://ORG/NAME@REVISION"),
        ("hf://org/name/folder@main", "not the address of a model on the Hub"),
        ("hf://org/name@", "not the address of a model on the Hub"),
    ],
)
def test_an_address_that_names_nothing_is_one_message(address: str, message: str, hub: Hub) -> None:
    with pytest.raises(UserError, match=message):
        find(address)


def test_a_hub_that_does_not_answer_is_one_message(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(UserError, match=r"hf://org/name@main cannot be read from http://127.0.0.1:1: "):
        find(NAME)


def test_weights_that_are_pickled_are_refused_with_what_to_do(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model.bin only, a format that can run code .*convert it: .*save_pre"):
        find(str(folder))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "sharded", "llama2", shards=3)
    assert sorted(find(str(folder)).files)[1:4] == [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError, match=r"the shard model-00002-of-00003.safetensors, which .*index.json names"):
        find(str(folder))


@pytest.mark.parametrize("shard", ["../secret.safetensors", "a/b.safetensors", "weights.bin", 3])
def test_an_index_names_shards_in_the_folder_only(shard: object, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "sharded", "llama2", shards=2)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(UserError, match="no valid weight_map"):
        find(str(folder))


def test_a_folder_without_a_checkpoint_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config.json is missing; check the path"):
        find(str(tmp_path))
    with pytest.raises(UserError, match=r"training.pretrained: .*none is not a folder"):
        find(str(tmp_path / "none"))
    (tmp_path / "config.json").touch()
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(UserError, match=r"config.json is empty; copy the checkpoint again"):
        find(str(tmp_path))
    with pytest.raises(UserError, match="nowhere://models"):
        find("nowhere://models")


def test_links_as_in_the_hub_s_cache_are_files(folder: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    for file in folder.iterdir():
        (linked / file.name).symlink_to(file)
    assert find(str(linked)).fingerprint == find(str(folder)).fingerprint


def test_a_file_of_a_bucket_that_changes_meanwhile_is_refused(folder: Path) -> None:
    memory = fsspec.filesystem("memory")
    for name, content in files_of(folder).items():
        memory.pipe(f"/changing/{name}", content)
    found = find("memory://changing")
    memory.pipe("/changing/config.json", b"{}")
    with pytest.raises(UserError, match=r"config.json has 2 bytes, not .* changed in the meantime"), opened(found):
        pass
