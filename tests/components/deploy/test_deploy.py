"""Deploying to a local endpoint, with real servers."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from seqline.artifacts.decision import Decision, Judged, RuleResult, write_decision
from seqline.artifacts.deployment import Deployment
from seqline.artifacts.evaluation import MetricValue, Sentence
from seqline.components.deploy.stage import Options, deploy
from seqline.endpoints.back_end import BackEnd
from seqline.endpoints.local import LocalBackEnd
from seqline.endpoints.local_endpoint import Endpoint, Settings
from seqline.errors import UserError
from tests import light_models
from tests.servers import client, free_port


def live_on(back_end: BackEnd) -> Judged:
    """The live version, as a gate sees it that compares with it now."""
    champion = back_end.state().champion
    found = next((known for known in back_end.versions() if known.version == champion), None)
    return Judged(str(found.version), found.fingerprint) if found else Judged()


def decide(folder: Path, model: Path, blessed: bool = True, judged: Judged | None = Judged()) -> Path:  # noqa: B008
    rule = RuleResult("bleu", 30.0, 20.0, blessed, "30 is enough")
    sample = Sentence("Hello", "Hallo", "Hallo", -0.1)
    metrics = {"bleu": MetricValue(30.0, True, "s")}
    write_decision(folder, Decision(blessed, model.name, [rule], metrics, samples=[sample], judged=judged))
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


@pytest.fixture
def served(models: SimpleNamespace, endpoint: Endpoint) -> Endpoint:
    """An endpoint with the live version 2, quiet, and the version 1, loud; its server does not run."""
    endpoint.register(models.loud, "loud", {})
    endpoint.register(models.quiet, "quiet", {})
    aliases = {"champion": 2, "previous": 1}
    endpoint.write(Settings("demo", "127.0.0.1", 1, traffic={1: 0, 2: 100}, aliases=aliases))
    return endpoint


@pytest.mark.parametrize(
    ("judged", "message"),
    [
        (
            Judged("1", "loud"),
            r"compared the model with version 1 \(model loud\), but by now version 2 \(model quiet\)",
        ),
        (Judged("", "loud"), r"compared the model with model loud, but by now version 2 \(model quiet\) is live on"),
        (
            Judged("2", "other"),
            r"compared the model with version 2 \(model other\), but by now version 2 \(model quiet\)",
        ),
        (Judged("1", ""), r"with version 1 \(a model without a fingerprint\), but by now version 2"),
        (
            Judged(),
            r"with no version, but by now version 2 \(model quiet\) is live on .*; nothing is deployed: run the",
        ),
        (None, "the decision does not say which live version the model was compared with"),
    ],
)
def test_a_champion_that_changed_since_the_gate_lets_nothing_be_deployed(
    tmp_path: Path, models: SimpleNamespace, served: Endpoint, judged: Judged | None, message: str
) -> None:
    before = served.read(), served.versions()
    with pytest.raises(UserError, match=message):
        deploy(models.broken, decide(tmp_path / "d", models.broken, judged=judged), tmp_path / "o", str(served.path))
    assert (served.read(), served.versions()) == before
    assert not (tmp_path / "o").exists()


def test_a_champion_that_is_gone_since_the_gate_is_a_change_too(
    tmp_path: Path, models: SimpleNamespace, endpoint: Endpoint
) -> None:
    decision = decide(tmp_path / "d", models.loud, judged=Judged("2", "quiet"))
    with pytest.raises(UserError, match=r"version 2 \(model quiet\), but by now no version is live on"):
        deploy(models.loud, decision, tmp_path / "o", str(endpoint.path))


def test_the_champion_is_compared_under_the_lock(
    tmp_path: Path, models: SimpleNamespace, served: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = Endpoint.locked

    @contextlib.contextmanager
    def wait(endpoint: Endpoint) -> Iterator[None]:
        with locked(endpoint):
            settings = endpoint.read()
            assert settings is not None  # the deployment that had the lock has made another version the champion
            endpoint.write(replace(settings, traffic={1: 100}, aliases={"champion": 1}))
            yield

    monkeypatch.setattr(Endpoint, "locked", wait)
    decision = decide(tmp_path / "d", models.broken, judged=Judged("2", "quiet"))
    with pytest.raises(UserError, match=r"but by now version 1 \(model loud\) is live"):
        deploy(models.broken, decision, tmp_path / "o", str(served.path))


def test_a_model_that_was_rolled_back_is_not_deployed_again(
    tmp_path: Path, models: SimpleNamespace, served: Endpoint
) -> None:
    settings = served.read()
    assert settings is not None
    served.write(replace(settings, rolled_back={"loud": "2026-01-31"}))
    decision = decide(tmp_path / "d", models.loud, judged=Judged("2", "quiet"))
    message = (
        "the model loud was rolled back on 2026-01-31 and is not deployed again; to deploy it anyway, run "
        "`seqline endpoint allow loud --endpoint demo` and then the pipeline again"
    )
    with pytest.raises(UserError, match=message):
        deploy(models.loud, decision, tmp_path / "o", str(served.path))


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
        decision = decide(tmp_path / f"d-{model.name}", model, judged=live_on(LocalBackEnd(endpoint, 0)))
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
            r"version 3 does not load: .*this model is broken.*; the previous split is restored, version 2 remains live"
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
