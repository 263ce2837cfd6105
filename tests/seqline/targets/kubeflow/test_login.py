"""Login to a KFP server: each way against a server that wants it, and what the user reads when one fails."""

import dataclasses
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from seqline.configuration import Configuration
from seqline.configuration.kubeflow import KubeflowTarget
from seqline.errors import UnreachableError, UserError
from seqline.targets.kubeflow import Kubeflow
from seqline.targets.kubeflow.connection import Connection
from seqline.targets.kubeflow.dex import DexWay
from seqline.targets.kubeflow.login import Login, require_safe
from seqline.targets.kubeflow.versions import server_api
from tests.seqline.targets.kubeflow.test_kubeflow import SPEC
from tests.stand_ins.kfp_gate import AUDIENCE, CLIENT_ID, Gate, Identity, key_file, signed
from tests.stand_ins.kfp_server import KfpServer

ANNA = Identity("anna@example.org", ("team-a",))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KfpServer]:
    # Of the machine that runs the tests.
    for name in ("KF_PIPELINES_SA_TOKEN_PATH", "http_proxy", "HTTP_PROXY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    with KfpServer.running() as running:
        running.multi_user = True
        yield running


Open = Callable[..., Kubeflow]


@pytest.fixture
def open_(server: KfpServer) -> Open:
    def make(gate: Gate, namespace: str = "team-a", **login: Any) -> Kubeflow:
        server.gate = gate
        settings = {"host": server.host, "namespace": namespace, "login": login}
        return Kubeflow(Configuration.model_validate({"targets": {"kubeflow": settings}}), sleep=lambda seconds: None)

    return make


def test_a_token_file_is_read_again_when_it_changes(open_: Open, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    gate = Gate(tokens={"first": ANNA})
    target = open_(gate, token_file=str(file))
    target.runs()
    del gate.tokens["first"]
    gate.tokens["second"] = ANNA
    file.write_text("second\n")
    target.runs()
    assert gate.seen == ["first", "second"]


def test_a_token_that_is_replaced_while_it_is_refused_is_tried_again(
    open_: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    target = open_(Gate(tokens={"second": ANNA}), token_file=str(file))
    (way,) = target.connection.login.ways
    renew = way.renew

    def replaced() -> bool:
        file.write_text("second")
        return renew()

    monkeypatch.setattr(way, "renew", replaced)
    assert target.runs() == []


def test_a_pod_uses_the_token_of_its_service_account(
    open_: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(signed(AUDIENCE, sub="anna@example.org"))
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    target = open_(Gate(members={ANNA.user: ANNA}))
    assert target.runs() == []
    assert target.connection.login.used == "service account of the pod"
    assert open_(Gate(), service_account="never").connection.login.ways == []


@pytest.mark.parametrize(
    ("audience", "seconds", "reason"),
    [
        ("https://kubernetes.default.svc", 3600, f"is https://kubernetes.default.svc, but KFP requires {AUDIENCE}"),
        (AUDIENCE, -60, "the token expired at 20"),
    ],
)
def test_a_token_that_cannot_work_says_why(
    open_: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audience: str, seconds: int, reason: str
) -> None:
    file = tmp_path / "token"
    file.write_text(signed(audience, seconds, sub="anna@example.org"))
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    with pytest.raises(UserError, match=r"tried 1\. service account of the pod: the server returned 401") as raised:
        open_(Gate()).runs()
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    "gate",
    [
        Gate("dex", connectors=("local", "ldap")),
        Gate("dex", connectors=("local",)),
        Gate("dex", connectors=("local",), approval=True),
        Gate("dex-403", connectors=("local", "ldap")),
    ],
    ids=["connectors", "one connector", "approval", "sign-in page"],
)
def test_a_user_of_dex_logs_in_once(open_: Open, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = dataclasses.replace(gate, passwords={ANNA.user: "secret"}, members={ANNA.user: ANNA})
    monkeypatch.setenv("KUBEFLOW_PASSWORD", "secret")
    target = open_(gate, dex={"username": ANNA.user, "password": "env:KUBEFLOW_PASSWORD"})
    target.runs()
    target.runs()
    assert gate.logins == 1
    gate.sessions.clear()
    target.runs()
    assert gate.logins == 2


@pytest.mark.parametrize(
    ("host", "domain", "ours"),
    [
        ("localhost", "localhost.local", True),
        ("kubeflow.local", "kubeflow.local", True),
        ("kubeflow.example.org", ".example.org", True),
        ("kubeflow.example.org", "dex.example.org", False),
        ("kubeflow.example.org", "kubeflow.example.org.evil", False),
        ("127.0.0.1", "127.0.0.1", True),
    ],
)
def test_only_cookies_of_the_servers_own_host_are_sent(host: str, domain: str, ours: bool) -> None:
    user = {"username": "a", "password": "env:A"}
    target = KubeflowTarget.model_validate({"host": f"https://{host}/pipeline", "login": {"dex": user}})
    assert target.login.dex
    assert DexWay(target, target.login.dex)._ours(SimpleNamespace(domain=domain)) == ours


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ({"username": "bob", "password": "env:KUBEFLOW_PASSWORD"}, "Dex rejected the password of bob"),
        ({"username": ANNA.user, "password": "env:NO_SUCH"}, "the environment variable NO_SUCH"),
        ({"username": ANNA.user, "password": "file:/no/such"}, "the file /no/such"),
        (
            {"username": ANNA.user, "password": "env:KUBEFLOW_PASSWORD", "connector": "saml"},
            "Dex has no connector 'saml'",
        ),
    ],
)
def test_what_dex_refuses_is_said(
    open_: Open, monkeypatch: pytest.MonkeyPatch, user: dict[str, str], reason: str
) -> None:
    monkeypatch.setenv("KUBEFLOW_PASSWORD", "secret")
    gate = Gate("dex", connectors=("local", "ldap"), passwords={ANNA.user: "secret"})
    with pytest.raises(UserError, match="cannot log in to http") as raised:
        open_(gate, dex=user).runs()
    assert f"1. dex: {reason}" in str(raised.value)


def test_a_gateway_that_is_away_for_a_moment_is_waited_for(
    open_: Open, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEFLOW_PASSWORD", "secret")
    gate = Gate("dex", connectors=("local",), passwords={ANNA.user: "secret"}, members={ANNA.user: ANNA})
    target = open_(gate, dex={"username": ANNA.user, "password": "env:KUBEFLOW_PASSWORD"})
    server.faults.add("*", "503", times=2)
    server.faults.add("*", "lost request")
    assert target.runs() == []


def test_the_cookies_of_a_browser_are_used(open_: Open, tmp_path: Path) -> None:
    file = tmp_path / "cookies"
    file.write_text("oauth2_proxy_kubeflow=abc; other=1\n")
    gate = Gate("dex", sessions={"abc": ANNA.user}, members={ANNA.user: ANNA})
    target = open_(gate, cookie_file=str(file))
    assert target.runs() == []
    gate.sessions.clear()
    with pytest.raises(UnreachableError, match=r"cookie_file: the server redirects to a login page, .*/dex/auth; "):
        target.runs()


def test_a_service_account_passes_the_identity_aware_proxy(
    open_: Open, server: KfpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Identity("ci@project.iam.gserviceaccount.com", ("team-a",))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path, server.url)))
    gate = Gate("iap", members={account.user: account})
    assert open_(gate, iap_client_id=CLIENT_ID).runs() == []
    wrong = open_(gate, iap_client_id="other.apps.googleusercontent.com")
    with pytest.raises(UserError, match=f"{account.user} needs the role IAP-secured Web App User"):
        wrong.runs()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(UserError, match="iap_client_id: no token of a service account"):
        open_(gate, iap_client_id=CLIENT_ID).runs()


def test_all_ways_are_tried_in_order_and_each_failure_is_said(
    open_: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookies = tmp_path / "cookies"
    cookies.write_text("oauth2_proxy_kubeflow=ended")
    monkeypatch.setenv("KUBEFLOW_PASSWORD", "secret")
    gate = Gate("dex", passwords={ANNA.user: "secret"}, members={ANNA.user: ANNA})
    login: dict[str, Any] = {"token_file": str(tmp_path / "none"), "cookie_file": str(cookies)}
    with pytest.raises(UserError) as raised:
        open_(gate, **login).runs()
    said = str(raised.value)
    assert f"1. token_file: there is no file {tmp_path / 'none'}; 2. cookie_file: the server redirects" in said
    assert open_(gate, **login, dex={"username": ANNA.user, "password": "env:KUBEFLOW_PASSWORD"}).runs() == []


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("token", ".token_file, .dex or .iap_client_id"),
        ("dex", ".dex"),
        ("dex-403", ".dex or"),
        ("iap", ".iap_client_id"),
    ],
)
def test_without_a_login_the_message_says_what_to_set(open_: Open, kind: Any, key: str) -> None:
    with pytest.raises(UnreachableError, match=r"requires a login \(.*\), and none is set; set ") as raised:
        open_(Gate(kind)).runs()
    assert re.search(rf"set targets\.kubeflow\.login{re.escape(key)}[ ;]", str(raised.value))


def test_a_caller_without_a_permission_is_not_asked_to_log_in(open_: Open, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    target = open_(Gate(tokens={"first": ANNA}), "team-b", token_file=str(file))
    with pytest.raises(UnreachableError, match=r"denies access, logged in by token_file: User 'anna"):
        target.runs()


def test_the_dashboard_instead_of_the_api_is_named(open_: Open, server: KfpServer) -> None:
    target = open_(Gate())
    wrong = target.settings.model_copy(update={"host": server.url})
    for call in (target.runs, lambda: target.connection.server):
        target.connection = Connection(wrong)
        with pytest.raises(UserError, match="returned a web page instead of the API; write the API's address"):
            call()


def test_a_server_without_the_api_is_named(server: KfpServer) -> None:
    connection = Connection(settings("http://127.0.0.1:1"))
    error = server_api().ApiException(status=404, reason="Not Found")
    message = "cannot list the runs: http://127.0.0.1:1 has no API of Kubeflow Pipelines (Not Found); write the API's"
    with pytest.raises(UserError, match=re.escape(message)), connection.explained("list the runs"):
        raise error


def settings(host: str, **login: Any) -> KubeflowTarget:
    return KubeflowTarget.model_validate({"host": host, "login": login})


@pytest.mark.parametrize(
    ("host", "allowed", "safe"),
    [
        ("https://kubeflow.example.org/pipeline", False, True),
        ("http://127.0.0.1:8080", False, True),
        ("http://[::1]:8080", False, True),
        ("http://localhost:8080/pipeline", False, True),
        ("http://kubeflow.example.org/pipeline", False, False),
        ("http://kubeflow.example.org/pipeline", True, False),
        ("http://localhost.example.org", True, False),
        ("http://127.0.0.1.example.org", True, False),
        ("http://10.0.0.1", True, False),
        ("http://ml-pipeline.kubeflow.svc:8888", False, False),
        ("http://ml-pipeline.kubeflow.svc:8888", True, True),
        ("http://ml-pipeline.kubeflow.svc.cluster.local:8888", True, True),
        ("http://ml-pipeline.kubeflow.svc.example.org", True, False),
        ("http://user@localhost@example.org", True, False),
    ],
)
def test_credentials_travel_encrypted_or_stay_on_this_machine(
    host: str, allowed: bool, safe: bool, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    given = settings(host, plain_http_in_cluster=allowed, token_file=str(file))
    if safe:
        require_safe(given)
        assert Login(given, {}).credentials().token == "secret"
        return
    with pytest.raises(UserError, match=r"credentials are not sent to .* over plain HTTP"):
        Login(given, {}).credentials()


def test_a_pod_sends_its_token_nowhere_unsafe_and_asks_without_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    login = Login(settings("http://ml-pipeline-ui.kubeflow"), {"KF_PIPELINES_SA_TOKEN_PATH": str(file)})
    assert login.credentials().token == ""
    assert "tried 1. service account of the pod: " in login.explained()


def test_a_password_follows_no_redirect_out_of_encryption(open_: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEFLOW_PASSWORD", "secret")
    gate = Gate("dex", connectors=("local",), passwords={ANNA.user: "secret"})
    unknown = gate._unknown
    monkeypatch.setattr(
        gate,
        "_unknown",
        lambda path: dataclasses.replace(unknown(path), headers=(("Location", "http://dex.example.org/dex/auth"),)),
    )
    with pytest.raises(UserError, match=r"dex: .*not sent to http://dex\.example\.org/dex/auth over plain HTTP"):
        open_(gate, dex={"username": ANNA.user, "password": "env:KUBEFLOW_PASSWORD"}).runs()


@pytest.mark.parametrize(("text", "reason"), [("", "is empty"), ("Bearer abc", "has several words")])
def test_a_file_without_a_token_is_refused_before_it_is_sent(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(UserError, match=f"token_file: .*{reason}"):
        Login(settings("https://kfp", token_file=str(file)), {}).credentials()


def test_kfps_own_context_and_variables_add_no_credentials(open_: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_IAP_OAUTH2_CLIENT_ID", CLIENT_ID)
    gate = Gate("dex")
    with pytest.raises(UnreachableError):
        open_(gate).runs()
    assert set(gate.seen) == {""}


def test_uploads_and_runs_are_in_the_users_namespace(open_: Open, server: KfpServer, tmp_path: Path) -> None:

    spec = tmp_path / "two.yaml"
    spec.write_text(yaml.safe_dump(SPEC))
    file = tmp_path / "token"
    file.write_text("first")
    target = open_(Gate(tokens={"first": ANNA}), token_file=str(file))
    template = target.upload(spec)
    assert [one["namespace"] for one in server.pipelines.values()] == ["team-a"]
    assert target.upload(spec) == template
    target.run(template.reference, {})
    assert target.schedules() == []
    assert [one["namespace"] for one in server.experiments.values()] == ["team-a"]
    bob = Identity("bob", ("team-b",))
    (tmp_path / "other").write_text("second")
    other = open_(Gate(tokens={"second": bob}), "team-b", token_file=str(tmp_path / "other"))
    other.upload(spec)
    assert sorted(one["namespace"] for one in server.pipelines.values()) == ["team-a", "team-b"]


def test_without_a_namespace_a_server_of_several_users_asks_for_one(
    server: KfpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = Configuration.model_validate({"targets": {"kubeflow": {"host": server.url}}})
    with pytest.raises(UserError, match=r"has several users: set targets\.kubeflow\.namespace"):
        Kubeflow(configuration).runs()
    pod = tmp_path / "namespace"
    pod.write_text("team-a")
    monkeypatch.setattr("seqline.targets.kubeflow.connection.POD_NAMESPACE", pod)
    assert Kubeflow(configuration).connection.namespace == "team-a"
    assert os.environ.get("KF_PIPELINES_SA_TOKEN_PATH") is None
