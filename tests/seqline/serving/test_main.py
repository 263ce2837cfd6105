"""The command line of the server: where it listens."""

from pathlib import Path
from typing import Any

import pytest

from seqline.endpoints.local_endpoint import Endpoint, Settings
from seqline.serving import __main__ as command
from tests import light_models


@pytest.mark.parametrize(
    ("flags", "environment", "host", "port"),
    [
        ([], {}, "127.0.0.1", 8080),
        (["--host", "0.0.0.0"], {}, "0.0.0.0", 8080),
        ([], {"AIP_HTTP_PORT": "8081"}, "0.0.0.0", 8081),
        ([], {"AIP_STORAGE_URI": "elsewhere"}, "0.0.0.0", 8080),
        (["--host", "127.0.0.1"], {"AIP_HTTP_PORT": "8081"}, "127.0.0.1", 8081),
        (["--port", "99"], {"AIP_MODEL_DIR": "gs://b/x"}, "127.0.0.1", 99),
    ],
)
def test_a_model_is_served_on_this_machine_only_unless_told_otherwise(
    flags: list[str],
    environment: dict[str, str],
    host: str,
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served: list[Any] = []
    monkeypatch.setattr("seqline.serving.server.serve", lambda *given: served.append(given))
    monkeypatch.setattr(command, "log_to_stderr", lambda rotated: None)
    model = light_models.save(tmp_path / "model", "upper")
    assert command.main(["--model", str(model), *flags], environment) == 0
    (_, _, address, _, _) = served[0]
    assert (address.host, address.port) == (host, port)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--max-seconds", "nan"),
        ("--max-seconds", "inf"),
        ("--max-seconds", "-1"),
        ("--max-texts", "0"),
        ("--max-texts", "1.5"),
        ("--max-body-bytes", "many"),
        ("--port", "70000"),
        ("--sample-requests", "1.5"),
        ("--sample-requests", "nan"),
        ("--sample-requests", "many"),
        ("--sample-megabytes", "0"),
        ("--port", "-1"),
        ("--grpc-port", "x"),
    ],
)
def test_a_wrong_number_names_its_flag(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main([f"{flag}={value}"], {})
    assert caught.value.code == 2
    assert f"argument {flag}: must be a " in capsys.readouterr().err


def test_a_name_is_refused_with_an_endpoint_which_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[Any] = []
    monkeypatch.setattr("seqline.serving.server.serve", lambda *given: served.append(given))
    monkeypatch.setattr(command, "log_to_stderr", lambda rotated: None)
    endpoint = Endpoint(tmp_path / "demo")
    endpoint.path.mkdir()
    endpoint.write(Settings("demo", "127.0.0.1", 8501))
    assert command.main(["--endpoint", str(endpoint.path), "--name", "other"], {}) == 1
    message = "error: --name has no effect with --endpoint; the model has the endpoint's name, demo"
    assert message in capsys.readouterr().err
    assert command.main(["--endpoint", str(endpoint.path)], {}) == 0
    assert [name for name, *_ in served] == ["demo"]


@pytest.mark.parametrize("port", ["", "x", "80.0", "99999999"])
def test_a_wrong_port_in_the_environment_is_named(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "log_to_stderr", lambda rotated: None)
    model = light_models.save(tmp_path / "model", "upper")
    assert command.main(["--model", str(model)], {"AIP_HTTP_PORT": port}) == 1
    assert f"error: AIP_HTTP_PORT must be a port up to 65535, not {port!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--sample-requests", "0.1"],
            "--sample-requests needs --sample-folder: a folder, or an address such as gs://",
        ),
        (
            ["--sample-requests", "0.1", "--sample-folder", "x", "--redact", "no_such_module:redact"],
            "redact: no_such_module:redact cannot be imported (ModuleNotFoundError",
        ),
        (["--sample-requests", "0.1", "--sample-folder", "x", "--redact", "redact"], "write module:function"),
        (["--sample-texts"], "--sample-texts has no effect without --sample-requests"),
    ],
)
def test_sampling_that_cannot_work_is_refused_before_anything_is_served(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "log_to_stderr", lambda rotated: None)
    model = light_models.save(tmp_path / "model", "upper")
    assert command.main(["--model", str(model), *flags], {}) == 1
    assert message in capsys.readouterr().err
