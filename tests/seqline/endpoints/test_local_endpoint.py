import json
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from seqline.endpoints.local_endpoint import Endpoint, Settings, can_listen
from seqline.errors import UserError


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    return Endpoint(tmp_path / "demo")


def model(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / "model.json").write_text("{}")  # marks the folder as complete
    (folder / "saved_model.pb").write_text(content)
    return folder


def test_versions_are_numbered_and_the_same_model_is_the_same_version(endpoint: Endpoint, tmp_path: Path) -> None:
    first = endpoint.register(model(tmp_path / "a", "a"), "fa", {"bleu": 1.0})
    second = endpoint.register(model(tmp_path / "b", "b"), "fb", {})
    again = endpoint.register(tmp_path / "a", "fa", {})
    assert (first.version, second.version, again.version) == (1, 2, 1)
    assert (endpoint.model(2) / "saved_model.pb").read_text() == "b"
    assert [version.fingerprint for version in endpoint.versions()] == ["fa", "fb"]


@pytest.mark.parametrize("fault", ["cut short", "changed", "missing", "more"])
def test_a_registered_model_whose_files_are_not_the_models_gets_them_again(
    endpoint: Endpoint, tmp_path: Path, fault: str
) -> None:
    source = model(tmp_path / "a", "weights")
    registered = endpoint.model(endpoint.register(source, "fa", {}).version)
    file = registered / "saved_model.pb"
    if fault == "missing":
        file.unlink()
    elif fault == "more":
        (registered / "other").touch()
    else:
        file.write_text({"cut short": "wei", "changed": "WEIGHTS"}[fault])
    assert endpoint.register(source, "fa", {}).version == 1
    files = {path.name: path.read_text() for path in registered.iterdir()}
    assert files == {"model.json": "{}", "saved_model.pb": "weights"}


def test_a_model_that_changes_while_it_is_copied_is_not_registered(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = model(tmp_path / "a", "weights")
    copy = shutil.copytree

    def interrupted(*arguments: Path, **options: bool) -> None:
        copy(*arguments, **options)
        (source / "saved_model.pb").write_text("other weights")

    monkeypatch.setattr(shutil, "copytree", interrupted)
    with pytest.raises(UserError, match=r"saved_model\.pb changed while it was copied"):
        endpoint.register(source, "fa", {})
    assert endpoint.versions() == []
    assert list((endpoint.path / "versions").iterdir()) == []


def test_a_number_is_not_given_twice(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.register(model(tmp_path / "a", "a"), "fa", {})
    endpoint.register(model(tmp_path / "b", "b"), "fb", {})
    endpoint.forget(1)
    assert endpoint.register(tmp_path / "a", "fa", {}).version == 3


def test_versions_that_were_registered_before_metrics_were_called_so_are_read(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.register(model(tmp_path / "a", "a"), "fa", {"bleu": 1.0})
    file = endpoint.path / "versions" / "1.json"
    fields = json.loads(file.read_text())
    del fields["schema_version"]
    file.write_text(json.dumps({**fields, "figures": fields.pop("metrics")}))
    assert [version.metrics for version in endpoint.versions()] == [{"bleu": 1.0}]


def test_a_broken_record_names_the_file_and_the_remedy(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.register(model(tmp_path / "a", "a"), "fa", {})
    (endpoint.path / "versions" / "1.json").write_text('{"version": 1}')
    with pytest.raises(UserError, match=r"versions/1\.json cannot be read .*; delete it to remove the version"):
        endpoint.versions()


def test_a_folder_without_its_record_is_no_version(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.register(model(tmp_path / "a", "a"), "fa", {})
    (endpoint.path / "versions" / "1.json").unlink()  # as after a kill between the two writes
    assert endpoint.versions() == []
    assert endpoint.register(tmp_path / "a", "fa", {}).version == 2


def test_the_live_version_has_the_largest_share(endpoint: Endpoint, tmp_path: Path) -> None:
    assert endpoint.live() is None
    for name in "ab":
        endpoint.register(model(tmp_path / name, name), f"f{name}", {})
    endpoint.write(Settings("demo", "127.0.0.1", 1, traffic={1: 10, 2: 90}))
    assert endpoint.live() == endpoint.version(2)


def test_the_champion_is_live_also_while_another_has_the_larger_share(endpoint: Endpoint, tmp_path: Path) -> None:
    for name in "ab":
        endpoint.register(model(tmp_path / name, name), f"f{name}", {})
    endpoint.write(Settings("demo", "127.0.0.1", 1, traffic={1: 10, 2: 90}, aliases={"champion": 1}))
    assert endpoint.live() == endpoint.version(1)


def test_the_leftovers_of_a_killed_deployment_are_swept(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.register(model(tmp_path / "a", "a"), "fa", {})
    model(endpoint.path / "versions" / "2", "no record")
    (endpoint.path / "versions" / ".3.x1").mkdir()
    endpoint.sweep()
    assert sorted(path.name for path in (endpoint.path / "versions").iterdir()) == ["1", "1.json"]


def test_settings_come_back_as_written(endpoint: Endpoint) -> None:
    settings = Settings("demo", "127.0.0.1", 8501, 8500, {1: 100}, {"champion": 1})
    endpoint.write(settings)
    assert endpoint.read() == settings
    assert settings.predict_url == "http://127.0.0.1:8501/v1/models/demo:predict"


@pytest.mark.parametrize("text", ["{", "{}", '{"schema_version": 1, "port": 3}'])
def test_broken_settings_are_named(endpoint: Endpoint, text: str) -> None:
    endpoint.path.mkdir()
    (endpoint.path / "endpoint.json").write_text(text)
    with pytest.raises(
        UserError, match=r"endpoint\.json (cannot be read|is not a JSON object).*; correct or delete it"
    ):
        endpoint.read()


def test_a_renamed_folder_renames_the_endpoint(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.write(Settings("demo", "127.0.0.1", 8501))
    endpoint.path.rename(tmp_path / "other")
    settings = Endpoint(tmp_path / "other").read()
    assert settings is not None
    assert settings.name == "other"


def test_a_port_can_be_listened_on_unless_another_program_does(endpoint: Endpoint) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not can_listen(endpoint.path, port)
    assert can_listen(endpoint.path, port)


@pytest.mark.parametrize("name", ["Demo", "1st", "a b", "x" * 64, "..", "ü"])
def test_a_bad_name_is_rejected_with_the_rule(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="an endpoint's name is"):
        Endpoint(tmp_path / name)


def test_a_process_that_is_gone_or_another_is_not_the_server(endpoint: Endpoint) -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        endpoint.write_process(process.pid)
        assert endpoint.process() == process.pid
        assert can_listen(endpoint.path, 1)  # its own server listens
        recorded = json.loads((endpoint.path / "server.pid").read_text())
        (endpoint.path / "server.pid").write_text(json.dumps({**recorded, "started": "1"}))
        assert endpoint.process() is None  # the number was recycled
        (endpoint.path / "server.pid").write_text(json.dumps(recorded))
        assert endpoint.stop()
    finally:
        process.kill()
        process.wait()
    assert not endpoint.stop()


def test_namespaces_are_separate(tmp_path: Path) -> None:
    one, other = Endpoint(tmp_path / "one"), Endpoint(tmp_path / "other")
    one.register(model(tmp_path / "a", "a"), "fa", {})
    assert other.versions() == []
