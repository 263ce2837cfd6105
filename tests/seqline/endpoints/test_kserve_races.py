"""Deploying to KServe while others change the endpoint, answers are lost and deployments are killed."""

import contextlib
import copy
import dataclasses
import json
import threading
from typing import Any

import pytest

from seqline.artifacts.decision import Judged
from seqline.cli import main
from seqline.components.deploy.stage import deploy
from seqline.endpoints.kserve import lock as lock_module
from seqline.endpoints.kserve.back_end import KServeBackEnd
from seqline.endpoints.kserve.lock import Lock
from seqline.endpoints.rollout import roll_back
from seqline.errors import UserError
from tests.components.deploy.test_deploy import decide
from tests.seqline.endpoints.conftest import ENDPOINT, KServe
from tests.stand_ins.server import Kind

WRITES = ("POST inferenceservices", "PUT inferenceservices", "POST configmaps", "PUT configmaps", "POST leases")


class Killed(BaseException):
    """The process is gone: nothing more runs."""


@pytest.mark.parametrize("fault", ["lost answer", "lost request", "503"])
@pytest.mark.parametrize("write", WRITES)
def test_a_lost_answer_starts_nothing_twice(kserve_in: Any, write: str, fault: Kind) -> None:
    kserve: KServe = kserve_in("serverless")
    kserve.cluster.faults.add(write, fault)
    kserve.deploy(kserve.model("one"))
    kserve.cluster.faults.add(write, fault)
    assert kserve.deploy(kserve.model("two")).version == 2
    assert kserve.back_end().state().shares == {2: 100}
    revisions = [key for key in kserve.cluster.objects.stored if key[0] == "revisions"]
    assert len(revisions) == 2
    assert len(kserve.cluster.record()["versions"]) == 2


def test_a_change_of_somebody_else_between_reading_and_writing_stays(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"))

    def change() -> None:
        service = kserve.cluster.objects.get("inferenceservices", "ns", "demo")
        service["metadata"].setdefault("labels", {})["team"] = "mt"
        kserve.cluster.objects.touch(service)

    kserve.cluster.before_write["inferenceservices"] = change
    kserve.deploy(kserve.model("two"))
    service = kserve.cluster.service()
    assert service["metadata"]["labels"] == {"team": "mt"}
    assert kserve.back_end().state().shares == {2: 100}


def test_a_record_that_somebody_else_changes_meanwhile_loses_nothing(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"))

    def mark() -> None:
        stored = kserve.cluster.objects.get("configmaps", "ns", "demo-seqline")
        content = json.loads(stored["data"]["endpoint.json"])
        stored["data"]["endpoint.json"] = json.dumps({**content, "rolled_back": {"other": "2026-01-01"}})
        kserve.cluster.objects.touch(stored)

    kserve.cluster.before_write["configmaps"] = mark
    kserve.deploy(kserve.model("two"))
    record = kserve.cluster.record()
    assert record["rolled_back"] == {"other": "2026-01-01"}
    assert record["aliases"]["champion"] == 2


def test_traffic_that_somebody_else_moves_is_not_overwritten(serverless: KServe) -> None:
    serverless.deploy(serverless.model("one"))
    serverless.deploy(serverless.model("two"))
    back_end = serverless.back_end()
    back_end.add(1)

    def move() -> None:
        service = serverless.cluster.objects.get("inferenceservices", "ns", "demo")
        service["spec"]["predictor"]["canaryTrafficPercent"] = 30
        serverless.cluster.objects.touch(service)
        serverless.cluster.service()

    serverless.cluster.before_write["inferenceservices"] = move
    with pytest.raises(UserError, match="someone else changed the traffic of kserve://ns/demo in the meantime"):
        back_end.split({1: 10, 2: 90}, {2: 100})
    assert back_end.state().shares == {1: 30, 2: 70}


def test_a_version_that_somebody_else_deploys_meanwhile_ends_the_rollout(serverless: KServe) -> None:
    serverless.deploy(serverless.model("one"))
    other = serverless.model("other")
    shown = serverless.cluster.models["s3://bucket/other"]

    def replace(text: str) -> str:
        service = serverless.cluster.objects.get("inferenceservices", "ns", "demo")
        predictor = copy.deepcopy(service["spec"]["predictor"])
        predictor["annotations"]["seqline-version"] = "9"
        predictor["containers"][0]["args"][5] = "9"
        service["spec"]["predictor"] = predictor
        serverless.cluster.objects.touch(service)
        return shown(text)

    serverless.cluster.models["s3://bucket/other"] = replace
    with pytest.raises(UserError, match=r"version 2 is not deployed; .*: 9 and 1; .*version 1 remains live"):
        serverless.deploy(other)
    # What someone else deployed is not removed.
    assert serverless.cluster.service()["spec"]["predictor"]["annotations"]["seqline-version"] == "9"
    assert serverless.back_end().state().aliases["champion"] == 1


def test_a_deployment_waits_for_another_one_and_takes_over_the_lock_of_a_dead_one(
    standard: KServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_end = standard.back_end()
    other = Lock(back_end.cluster, "demo")
    waiting = threading.Event()
    second, got = standard.back_end(), threading.Event()
    second.cluster.retries = dataclasses.replace(second.cluster.retries, sleep=lambda seconds: waiting.set())

    def wait() -> None:
        with second.locked():
            got.set()

    with other.held():
        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(30)
        assert not got.is_set()
    assert got.wait(30)
    thread.join()
    other._write(other.holder, only=_version(standard))  # a process that was killed holds it for ever
    monkeypatch.setattr(lock_module, "_duration", lambda lease: -1.0)
    with back_end.locked(), pytest.raises(UserError, match="has the lock of demo"):
        other._write(other.holder)


def _version(kserve: KServe) -> str:
    return str(kserve.cluster.objects.get("leases", "ns", "demo-seqline")["metadata"]["resourceVersion"])


def test_a_deployment_that_lost_its_lock_changes_nothing(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"))
    back_end = kserve.back_end()
    back_end.lock._lost = True
    for change in (lambda: back_end.add(1), lambda: back_end.split({1: 100}), back_end.prepare):
        with pytest.raises(UserError, match="another deployment to demo has taken over"):
            change()


def test_a_champion_that_changed_since_the_gate_is_not_replaced(kserve: KServe) -> None:
    kserve.deploy(kserve.model("one"))
    two = kserve.model("two")
    decision = decide(kserve.folder / "d", two, judged=Judged("1", "another"))
    with pytest.raises(UserError, match="the gate compared the model with version 1"):
        deploy(two, decision, kserve.folder / "out", ENDPOINT, options=kserve.options())
    assert kserve.back_end().state().shares == {1: 100}


@pytest.mark.parametrize("method", ["add", "split", "ask", "remove", "alias", "forget"])
@pytest.mark.parametrize("mode", ["standard", "serverless"])
def test_a_rollout_that_is_killed_anywhere_ends_when_it_runs_again(
    kserve_in: Any, mode: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kserve: KServe = kserve_in(mode)
    kserve.deploy(kserve.model("one"))
    model = kserve.model("two")
    original, calls = getattr(KServeBackEnd, method), []

    def killed(self: KServeBackEnd, *arguments: Any) -> Any:
        if len(calls) == (2 if method == "split" and mode == "serverless" else 1):
            raise Killed
        calls.append(arguments)
        outcome = original(self, *arguments)
        if method != "split" or mode == "standard":
            raise Killed
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(KServeBackEnd, method, killed)
        patch.setattr(KServeBackEnd, "prepare", _dies)
        with contextlib.suppress(Killed, UserError):
            kserve.deploy(model)
    assert kserve.deploy(model).version == 2
    state = kserve.back_end().state()
    assert (state.traffic, state.aliases) == ({2: 100}, {"champion": 2, "previous": 1, "best": 1})


def _dies(self: Any) -> None:
    raise Killed


def test_a_newer_model_takes_the_place_of_a_rollout_that_was_killed(serverless: KServe) -> None:
    serverless.deploy(serverless.model("one"))
    serverless.model("two")
    back_end = serverless.back_end(image="i", mode="serverless")
    version = back_end.register(serverless.model("two"), "two", {})
    back_end.add(version)
    back_end.split({1: 50, 2: 50})
    assert serverless.deploy(serverless.model("three")).version == 3
    state = serverless.back_end().state()
    assert (state.traffic, state.champion) == ({3: 100}, 3)


def test_a_rollback_that_is_killed_ends_when_it_runs_again(kserve: KServe, monkeypatch: pytest.MonkeyPatch) -> None:
    kserve.deploy(kserve.model("one"))
    kserve.deploy(kserve.model("two"))
    with monkeypatch.context() as patch:
        patch.setattr(KServeBackEnd, "split", lambda *_: _dies(None))
        with pytest.raises(Killed):
            roll_back(kserve.back_end())
    assert roll_back(kserve.back_end()) == 1
    state = kserve.back_end().state()
    assert (state.shares, state.aliases["previous"], list(state.rolled_back)) == ({1: 100}, 2, ["two"])


def test_a_cluster_without_kserve_without_permission_or_without_access_says_so(
    standard: KServe, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    standard.cluster.rules = set()
    assert main(["endpoint", "describe", ENDPOINT]) == 4
    assert "docs/kserve.md has the role that it needs" in capsys.readouterr().err
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main(["endpoint", "describe", ENDPOINT]) == 1
    assert "there is no access to a Kubernetes cluster" in capsys.readouterr().err
