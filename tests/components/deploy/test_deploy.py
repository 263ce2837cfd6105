"""Deploying to a local endpoint, with real servers."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from seqline.artifacts.decision import Decision, RuleResult, write_decision
from seqline.artifacts.deployment import Deployment
from seqline.artifacts.evaluation import MetricValue, Sentence
from seqline.components.deploy.stage import Options, deploy
from seqline.endpoints.local_endpoint import Endpoint
from seqline.errors import UserError
from tests import light_models
from tests.servers import client, free_port


def decide(folder: Path, model: Path, blessed: bool = True) -> Path:
    rule = RuleResult("bleu", 30.0, 20.0, blessed, "30 is enough")
    sample = Sentence("Hello", "Hallo", "Hallo", -0.1)
    metrics = {"bleu": MetricValue(30.0, True, "s")}
    write_decision(folder, Decision(blessed, model.name, [rule], metrics, samples=[sample]))
    return folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Models whose workers need no TensorFlow: loud returns upper case, quiet lower case, and broken fails."""
    for name, value in light_models.environment().items():
        monkeypatch.setenv(name, value)
    functions = {"loud": "upper", "quiet": "lower", "broken": "broken"}
    return SimpleNamespace(
        **{name: light_models.save(tmp_path / name, function) for name, function in functions.items()}
    )


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    endpoint = Endpoint(tmp_path / "demo")
    yield endpoint
    endpoint.stop()


def test_a_model_that_was_not_blessed_is_refused(tmp_path: Path, models: SimpleNamespace) -> None:
    decision = decide(tmp_path / "d", models.loud, blessed=False)
    with pytest.raises(UserError, match="does not bless this model"):
        deploy(models.loud, decision, tmp_path / "out", str(tmp_path / "demo"))
    assert not (tmp_path / "demo").exists()


def test_a_blessing_of_another_model_is_refused(tmp_path: Path, models: SimpleNamespace) -> None:
    decision = decide(tmp_path / "d", models.loud)
    with pytest.raises(UserError, match="blesses model loud, not this one, quiet"):
        deploy(models.quiet, decision, tmp_path / "out", str(tmp_path / "demo"))


def test_without_an_endpoint_nothing_is_deployed_and_the_deployment_says_so(
    tmp_path: Path, models: SimpleNamespace
) -> None:
    deployment = deploy(models.loud, decide(tmp_path / "d", models.loud), tmp_path / "out")
    assert not deployment.live
    assert Deployment.read(tmp_path / "out" / "deployment.json") == deployment


def test_a_port_in_use_is_one_message(tmp_path: Path, models: SimpleNamespace, endpoint: Endpoint) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use by another program; choose another with --port"):
            deploy(
                models.loud,
                decide(tmp_path / "d", models.loud),
                tmp_path / "o",
                str(endpoint.path),
                options=Options(port=port),
            )


@pytest.mark.e2e(seconds=10)
def test_versions_follow_each_other_without_a_failed_request(
    tmp_path: Path, endpoint: Endpoint, models: SimpleNamespace
) -> None:
    options = Options(port=free_port())

    def go(model: Path) -> int | None:
        decision = decide(tmp_path / f"d-{model.name}", model)
        return deploy(model, decision, tmp_path / "out", str(endpoint.path), options=options).version

    assert go(models.loud) == 1
    settings = endpoint.read()
    assert settings is not None
    answers: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            response = client.post(settings.predict_url, json={"instances": ["aB"]})
            answers.append((response.status_code, response.json()["predictions"][0]["text"]))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert go(models.quiet) == 2
        assert go(models.quiet) == 2  # again: nothing to do
        message = (
            r"version 3 does not load: .*this model is broken.*; the previous split is restored, version 2 stays live"
        )
        with pytest.raises(UserError, match=message):
            go(models.broken)
    finally:
        stop.set()
        asking.join()
    texts = [text for _, text in answers]
    assert {status for status, _ in answers} == {200}
    assert set(texts) == {"AB", "ab"}
    assert texts[0] == "AB"
    assert texts[-1] == "ab"

    pid = endpoint.process()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert go(models.quiet) == 2  # the server is back, with the version that was live
    assert client.post(settings.predict_url, json={"instances": ["aB"]}).json()["predictions"][0]["text"] == "ab"
    assert endpoint.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(settings.url)
