"""`seqline endpoint` and `seqline predict` without a server."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqline.cli import main
from seqline.cli.exit_codes import ExitCode
from seqline.cli.predict import _parameter
from seqline.endpoints.local import LocalBackEnd
from seqline.endpoints.local_endpoint import Endpoint, Settings
from seqline.errors import UserError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A stopped endpoint with two versions."""
    endpoint = Endpoint(tmp_path / "endpoints" / "demo")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
        endpoint.register(tmp_path / name, f"f-{name}", {"bleu": 20.5})
    endpoint.write(Settings("demo", "127.0.0.1", 8501, 0, {1: 0, 2: 100}, {"champion": 2, "previous": 1}))
    return tmp_path


def test_list_shows_the_live_version(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoint", "list", "--json", "--home", str(home)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {
        "name": "demo",
        "state": "stopped",
        "live": 2,
        "traffic": {"1": 0, "2": 100},
        "versions": [1, 2],
        "url": None,
    }


def test_describe_shows_shares_aliases_and_metrics(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoint", "describe", "--json", "--home", str(home)]) == 0
    first, second = json.loads(capsys.readouterr().out)["versions"]
    assert (first["share"], first["aliases"], first["metrics"]) == (0, ["previous"], "bleu 20.5")
    assert (second["share"], second["aliases"], second["fingerprint"]) == (100, ["champion"], "f-two")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["endpoint", "describe", "other"], "there is no endpoint 'other'; available: demo"),
        (["endpoint", "traffic", "1=50"], "the sum of the shares must be 100%, not 50%"),
        (["endpoint", "traffic", "1=50", "7=50"], "there is no version 7; available: 1, 2"),
        (["endpoint", "traffic", "half"], "'half' is not a share"),
    ],
)
def test_a_wrong_command_is_one_message(
    home: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--home", str(home)]) == 1
    assert message in capsys.readouterr().err


def test_a_stopped_endpoint_is_unreachable(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "Hello", "--home", str(home)]) == ExitCode.UNREACHABLE == 4
    assert "is not running; `seqline endpoint start` starts it" in capsys.readouterr().err


def second(home: Path, name: str) -> None:
    """Adds an endpoint without versions."""
    Endpoint(home / "endpoints" / name).write(Settings(name, "127.0.0.1", 8502))


def test_the_configuration_names_the_folder_and_the_endpoint(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    second(home, "other")
    monkeypatch.chdir(tmp_path)
    laptop = f"targets: {{laptop: {{home: {home}, endpoint: demo}}}}\n"
    Path("seqline.yaml").write_text(laptop, encoding="utf-8")
    assert main(["endpoint", "describe", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "demo"
    assert main(["endpoint", "list", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["demo", "other"]
    assert main(["endpoint", "describe", "other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "other"
    Path("seqline.yaml").write_text(laptop.replace("demo", "gone"), encoding="utf-8")
    assert main(["endpoint", "rollback", "--yes"]) == 1
    assert "there is no endpoint 'gone'; available: demo, other" in capsys.readouterr().err


def test_another_target_s_endpoint_is_its_parameter(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    vertex = "{project: a-project, location: europe-west4, pipeline_root: gs://a-bucket/root%s}"
    Path("seqline.yaml").write_text(f"targets: {{vertex: {vertex % ''}}}\n", encoding="utf-8")
    assert main(["endpoint", "describe", "--target", "vertex"]) == 1
    assert "the configuration has no endpoint for vertex: set parameters.endpoint" in capsys.readouterr().err
    own = vertex % ", parameters: {endpoint: projects/a-project/locations/europe-west4/endpoints/mt}"
    Path("seqline.yaml").write_text(f"target: vertex\ntargets: {{vertex: {own}}}\n", encoding="utf-8")
    found = []
    monkeypatch.setattr("seqline.endpoints.opening.open_back_end", lambda name, **rest: found.append(name) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["endpoint", "traffic", "1=100"])
    assert found == ["projects/a-project/locations/europe-west4/endpoints/mt"]


def test_a_list_of_another_target_is_never_this_machine_s(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seqline.yaml").write_text(f"targts: {{laptop: {{home: {home}}}}}\n", encoding="utf-8")
    assert main(["endpoint", "list", "--target", "vertex"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("warning: the configuration is not used") == 1
    assert "the configuration has no endpoints for vertex; name them with --on" in shown.err


def test_a_broken_configuration_does_not_keep_from_stopping(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seqline.yaml").write_text("targts: {}\n", encoding="utf-8")
    assert main(["endpoint", "stop", "--home", str(home), "--yes"]) == 0
    assert "warning: the configuration is not used: seqline.yaml" in capsys.readouterr().err
    assert main(["endpoint", "stop", "--config", "seqline.yaml", "--yes"]) == 1


def test_variables_name_the_folder_and_the_endpoint(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    second(home, "other")
    for name, value in {"HOME": str(home), "ENDPOINT": "demo", "JSON": "1", "YES": "1"}.items():
        monkeypatch.setenv(f"SEQLINE_{name}", value)
    assert main(["endpoint", "stop"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "demo", "stopped": False}]


def test_stopping_a_stopped_endpoint_is_reported(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoint", "stop", "demo", "--home", str(home)]) == 0
    assert capsys.readouterr().out == "demo: was not running\n"


def test_without_an_endpoint_the_error_says_how_to_create_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["endpoint", "describe", "--home", str(tmp_path)]) == 1
    assert "`seqline run --data FILE` creates one" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["NaN", "Infinity", ".nan", "1e999", "high", "12:30", ""])
def test_a_decoding_parameter_that_is_no_finite_number_is_refused(value: str) -> None:
    with pytest.raises(UserError, match=f"--set temperature={value}: write KEY=VALUE with a finite number"):
        _parameter(f"temperature={value}")


def test_a_decoding_parameter_is_a_number_or_a_truth_value() -> None:
    assert [_parameter(f"a={value}") for value in ("2", ".5", "+3", "1e-2", "true")] == [
        ("a", value) for value in (2, 0.5, 3, 0.01, True)
    ]


def test_a_folder_of_the_home_folder_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(home.parent))
    assert main(["endpoint", "list", "--json", "--home", f"~/{home.name}"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "demo"


def test_a_rolled_back_model_is_shown_and_allowed_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint = Endpoint(home / "endpoints" / "demo")
    settings = endpoint.read()
    assert settings is not None
    endpoint.write(dataclasses.replace(settings, rolled_back={"f-one": "2026-01-31", "f-gone": "2026-02-01"}))
    assert main(["endpoint", "describe", "--json", "--home", str(home)]) == 0
    shown = json.loads(capsys.readouterr().out)["versions"]
    assert [version["rolled_back"] for version in shown] == ["2026-01-31", ""]
    for unclear in ("f-", "f-two"):
        assert main(["endpoint", "allow", unclear, "--home", str(home)]) == 1
        message = (
            "is not the beginning of exactly one model that was rolled back; available: f-one (2026-01-31), f-gone"
        )
        assert message in capsys.readouterr().err
    assert main(["endpoint", "allow", "f-g", "--endpoint", "demo", "--home", str(home)]) == 0
    assert capsys.readouterr().out == "f-gone can be deployed again; run the pipeline to deploy it\n"
    assert endpoint.read() == dataclasses.replace(settings, rolled_back={"f-one": "2026-01-31"})


def test_start_serves_what_the_deployment_that_it_waited_for_has_made_live(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, served = Endpoint.locked, []

    @contextlib.contextmanager
    def wait(endpoint: Endpoint) -> Iterator[None]:
        with locked(endpoint):
            settings = endpoint.read()
            assert settings is not None
            endpoint.write(dataclasses.replace(settings, traffic={1: 100, 2: 0}, aliases={"champion": 1}))
            yield

    monkeypatch.setattr(Endpoint, "locked", wait)
    monkeypatch.setattr(LocalBackEnd, "prepare", lambda back_end: None)
    monkeypatch.setattr(LocalBackEnd, "add", lambda back_end, version: served.append(version))
    monkeypatch.setattr(LocalBackEnd, "split", lambda back_end, traffic: served.append(traffic))
    assert main(["endpoint", "start", "--home", str(home)]) == 0
    assert served == [1, {1: 100, 2: 0}]
