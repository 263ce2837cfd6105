"""`seqline endpoint` and `seqline predict` with a real local endpoint, whose workers need no TensorFlow."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seqline.cli import main
from seqline.endpoints.local_endpoint import Endpoint, Settings
from tests import light_models
from tests.servers import client, free_port, until

pytestmark = [pytest.mark.e2e(seconds=10), pytest.mark.xdist_group("endpoint")]

Seqline = Callable[..., str]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint with the registered versions 1, which returns upper case, 2 and 3, which return lower case."""
    folder = tmp_path_factory.mktemp("home")
    endpoint = Endpoint(folder / "endpoints" / "demo")
    for name, function in (("one", "upper"), ("two", "lower"), ("three", "lower")):
        endpoint.register(light_models.save(folder / name, function), name, {})
    endpoint.write(Settings("demo", "127.0.0.1", free_port()))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in light_models.environment().items():
            patch.setenv(name, value)
        yield endpoint
    endpoint.stop()


@pytest.fixture
def seqline(endpoint: Endpoint, capsys: pytest.CaptureFixture[str]) -> Seqline:
    """Runs a command that succeeds, and returns its output."""

    def run(*words: str) -> str:
        code = main([*words, "--home", str(endpoint.path.parents[1])])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return run


@pytest.fixture
def running(endpoint: Endpoint, seqline: Seqline) -> Endpoint:
    """The endpoint, running: version 2 is live, and version 1 was before."""
    settings = endpoint.read()
    assert settings is not None
    state = {"traffic": {1: 0, 2: 100}, "aliases": {"champion": 2, "previous": 1}}
    endpoint.write(Settings("demo", "127.0.0.1", settings.port, **state))  # type: ignore[arg-type]
    started = seqline("endpoint", "start")
    assert started == f"version 2 is live at http://127.0.0.1:{settings.port}/v1/models/demo:predict\n"
    return endpoint


def applied(endpoint: Endpoint) -> dict[str, Any]:
    settings = endpoint.read()
    assert settings is not None
    return dict(client.get(f"{settings.url}/v1/traffic").json())


def test_a_started_endpoint_is_listed_and_answers(running: Endpoint, seqline: Seqline) -> None:
    (row,) = json.loads(seqline("endpoint", "list", "--json"))
    assert (row["state"], row["live"], row["url"]) == ("running", 2, running.read().predict_url)  # type: ignore[union-attr]
    assert seqline("predict", "Some Text", "More") == "some text\nmore\n"


def test_traffic_is_split_between_versions(running: Endpoint, seqline: Seqline) -> None:
    assert seqline("endpoint", "traffic", "1=30", "2=70") == "1:30% 2:70%\n"
    assert applied(running)["traffic"] == {"1": 30, "2": 70}
    assert seqline("endpoint", "traffic", "1=100%", "--endpoint", "demo") == "1:100% 2:0%\n"
    assert seqline("predict", "Some Text") == "SOME TEXT\n"


def test_traffic_deploys_a_version_that_is_only_registered(running: Endpoint, seqline: Seqline) -> None:
    assert applied(running)["loaded"] == [1, 2]
    assert seqline("endpoint", "traffic", "3=100") == "1:0% 2:0% 3:100%\n"
    assert applied(running)["loaded"] == [1, 2, 3]


def test_rollback_makes_the_previous_version_live_and_a_second_one_undoes_it(
    running: Endpoint, seqline: Seqline
) -> None:
    assert seqline("endpoint", "rollback", "demo") == "version 1 is live\n"
    assert seqline("predict", "Some Text") == "SOME TEXT\n"
    until(lambda: applied(running)["aliases"] == {"champion": 1, "previous": 2})
    assert seqline("endpoint", "rollback") == "version 2 is live\n"
    assert seqline("predict", "Some Text") == "some text\n"


def test_a_stopped_endpoint_starts_with_its_last_split(running: Endpoint, seqline: Seqline) -> None:
    seqline("endpoint", "traffic", "1=30", "2=70")
    assert seqline("endpoint", "stop") == "demo: stopped\n"
    assert running.process() is None
    assert seqline("endpoint", "start", "demo").startswith("version 2 is live at http://127.0.0.1:")
    assert applied(running)["traffic"] == {"1": 30, "2": 70}


def test_the_lines_of_a_file_are_predicted_in_their_order(running: Endpoint, seqline: Seqline, tmp_path: Path) -> None:
    texts = [f"Zeile {number}: Ä" for number in range(70)]  # more than one request
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    arguments = ("predict", "--file", str(tmp_path / "texts.txt"))
    assert seqline(*arguments).splitlines() == [text.lower() for text in texts]
    assert seqline(*arguments, "--json", "--output", str(tmp_path / "out.jsonl")) == ""
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"input": text, "text": text.lower(), "score": 0.0} for text in texts
    ]


def test_the_lines_of_standard_input_are_predicted(
    running: Endpoint, seqline: Seqline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("One\n\n \n\u200b\nTwo\n".encode())))
    # Blank lines have blank answers.
    assert seqline("predict") == "one\n\n\n\ntwo\n"


def test_a_line_that_the_server_refuses_is_named_and_the_others_are_answered(
    running: Endpoint, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = [f"Zeile {number}" if number != 68 else "x" * 20_500 for number in range(1, 71)]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    assert main(["predict", "--file", str(tmp_path / "in.txt"), "--home", str(running.path.parents[1])]) == 1
    output, errors = capsys.readouterr()
    assert output.split("\n")[:-1] == ["" if len(line) > 100 else line.lower() for line in lines]
    assert f"{tmp_path}/in.txt, line 68: the endpoint rejected it: the text has 20500 characters; the limit" in errors


def test_a_parameter_that_the_model_does_not_take_is_reported(
    running: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(running.path.parents[1])
    assert main(["predict", "One", "--set", "beam_size=2", "--home", home]) == 1
    assert "this version's model has no signature parameters" in capsys.readouterr().err


def test_a_proxy_of_the_environment_is_not_asked(running: Endpoint) -> None:
    # In a process of its own: urllib reads the variables once.
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    proxies = ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    environment |= dict.fromkeys(proxies, "http://127.0.0.1:9")  # nothing answers there
    command = [sys.executable, "-m", "seqline.cli", "predict", "One", "--home", str(running.path.parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.returncode) == ("one\n", 0), done.stderr
