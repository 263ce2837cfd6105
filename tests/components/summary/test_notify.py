"""Notifications: real requests to a receiver on loopback."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.evaluation import MetricValue
from seqline.artifacts.run_summary import Summary
from seqline.components.summary import notify as notify_module
from seqline.components.summary import secret as secret_module
from seqline.components.summary import webhook
from seqline.components.summary.notify import MESSAGES, notify
from seqline.components.summary.options import NotificationOptions, RunStatus
from seqline.components.summary.stage import summarize
from seqline.errors import UserError
from tests.stand_ins.server import Answer, ApiError, Faults, Request, serving
from tests.stand_ins.webhook import Receiver

SECRET = "T0SECRET/B0SECRET/very-long-and-secret"
FAILED = Summary("run-1", "FAILED", "train", "out of memory & <more>", data="gs://b/x.tsv")
RESOURCE = "projects/123/locations/us-central1/pipelineJobs/run-1"
PAGE = "https://console.cloud.google.com/vertex-ai/locations/us-central1/pipelines/runs/run-1?project=123"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(webhook, "sleep", found.append)
    return found


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[Receiver]:
    with Receiver.running(SECRET) as running:
        monkeypatch.setenv("HOOK", running.url)
        yield running


def options(**values: Any) -> NotificationOptions:
    return NotificationOptions(**{"webhooks": ["env:HOOK"], **values})


def test_any_address_gets_the_summary_as_json(receiver: Receiver) -> None:
    assert notify(FAILED, RESOURCE, options()) == []
    ((path, headers, body),) = receiver.received
    assert path == f"/services/{SECRET}"
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Idempotency-Key"] == "run-1"
    assert body["headline"] == "The run failed in train."
    assert body["page"] == PAGE
    assert body["summary"]["error"] == "out of memory & <more>"


def test_slack_gets_an_escaped_text(receiver: Receiver) -> None:
    assert notify(FAILED, RESOURCE, options(format="slack")) == []
    (_, _, body) = receiver.received[0]
    assert body == {
        "text": "Seqline run run-1: FAILED\nThe run failed in train.\nout of memory &amp; &lt;more&gt;\n"
        f"Data: gs://b/x.tsv\n{PAGE}"
    }


def test_teams_gets_a_card_with_a_link(receiver: Receiver) -> None:
    assert notify(FAILED, RESOURCE, options(format="teams")) == []
    (attachment,) = receiver.received[0][2]["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [part["text"] for part in attachment["content"]["body"]][1] == "The run failed in train."
    assert attachment["content"]["actions"][0]["url"] == PAGE


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("https://hooks.slack.com/services/T/B/x", "slack"),
        ("https://hooks.slack.com.example.org/services", "json"),
        ("https://contoso.webhook.office.com/webhookb2/x", "teams"),
        ("https://prod-01.westeurope.logic.azure.com:443/workflows/x?sig=y", "teams"),
        ("https://x.environment.api.powerplatform.com/powerautomate/y", "teams"),
        ("https://example.org/hooks.slack.com", "json"),
    ],
)
def test_the_form_follows_from_the_host(address: str, form: str) -> None:
    assert notify_module._form(address) == form


@pytest.mark.parametrize("form", MESSAGES)
@given(text=st.text(max_size=3000), metric=st.text(max_size=20))
def test_every_summary_is_a_message_of_json(form: Any, text: str, metric: str) -> None:
    metrics = {metric: MetricValue(1.0, 1.0, 1.0, "s", True)}
    found = Summary("run", "FAILED", text, text, data=text, metrics=metrics)
    message = MESSAGES[form](found, "")
    assert json.loads(json.dumps(message, allow_nan=False)) == message
    assert len(json.dumps(message)) < 28_000 or form == "json"


def test_success_is_quiet_if_only_failures_count(receiver: Receiver) -> None:
    assert notify(Summary("run", "SUCCEEDED"), "", options(only_failures=True)) == []
    assert notify(Summary("run", "CANCELLED"), "", options(only_failures=True)) == []
    assert [body["headline"] for _, _, body in receiver.received] == ["The run was cancelled."]


@pytest.mark.parametrize("first", [429, 500, 502, 503, 504, "break"])
def test_what_may_go_away_is_tried_again(receiver: Receiver, pauses: list[float], first: Any) -> None:
    receiver.answers = [first, first]
    assert notify(FAILED, "", options()) == []
    assert len(receiver.received) == 3
    assert pauses == [1.0, 2.0]


def test_a_receiver_says_how_long_to_wait(receiver: Receiver, pauses: list[float]) -> None:
    receiver.answers = [(429, {"Retry-After": "7"}), (429, {"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"})]
    assert notify(FAILED, "", options()) == []
    assert pauses == [7.0, 2.0]


def test_a_wait_beyond_the_time_limit_is_not_waited(receiver: Receiver, pauses: list[float]) -> None:
    receiver.answers = [(429, {"Retry-After": "3600"})]
    assert notify(FAILED, "", options()) == ["Webhook 1 was not notified: 127.0.0.1 returned 429 Too Many Requests"]
    assert pauses == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (400, "127.0.0.1 returned 400 Bad Request"),
        (403, "127.0.0.1 returned 403 Forbidden"),
        (410, "127.0.0.1 returned 410 Gone"),
        (
            (302, {"Location": "http://127.0.0.1:1/elsewhere"}),
            "127.0.0.1 returned 302, a redirect, which Seqline does not follow",
        ),
        (
            (307, {"Location": "http://127.0.0.1:1/elsewhere"}),
            "127.0.0.1 returned 307, a redirect, which Seqline does not follow",
        ),
    ],
)
def test_a_refusal_is_final(receiver: Receiver, answer: Any, reason: str) -> None:
    receiver.answers = [answer]
    assert notify(FAILED, "", options()) == [f"Webhook 1 was not notified: {reason}"]
    assert len(receiver.received) == 1


def test_a_receiver_that_answers_byte_by_byte_ends_with_the_time_limit(receiver: Receiver) -> None:
    receiver.answers = ["stall"]
    (note,) = notify(FAILED, "", options(), seconds=0.3)
    assert note in {
        "Webhook 1 did not answer within 0.3 s.",
        "Webhook 1 was not notified: 127.0.0.1 did not respond in time",
    }


def test_one_dead_webhook_does_not_stop_the_others(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NONE", raising=False)
    found = notify(FAILED, "", options(webhooks=["env:NONE", "env:HOOK", "file:/no/such/file"]))
    assert found == [
        "Webhook 1 was not notified: env:NONE is empty or not set",
        "Webhook 3 was not notified: cannot read file:/no/such/file: No such file or directory",
    ]
    assert len(receiver.received) == 1


BAD = [
    f"http://example.org/{SECRET}",
    f"ftp://example.org/{SECRET}",
    SECRET,
    f"https:///{SECRET}",
    f"https://exa mple.org/{SECRET}",
    f"https://example.org:port/{SECRET}",
    f"https://[::1/{SECRET}",
    f"https://exämple.org/{SECRET}",
    f"https://example.org/{SECRET}\nHost: other",
]


@pytest.mark.parametrize("answer", [200, 400, 404, "break", (301, {"Location": f"http://127.0.0.1:1/{SECRET}"})])
def test_the_address_is_in_no_log_note_or_file(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], answer: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.answers = [answer] * 9
    status = RunStatus(state="FAILED", error="x")
    paths = tmp_path / "own" / "summary", tmp_path / "own" / "report.html"
    summarize(str(paths[0]), "run-1", "77", *paths, status, options())
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    shown = capfd.readouterr()
    for text in (caplog.text, written, shown.out, shown.err):
        assert "SECRET" not in text
        assert "very-long" not in text
    assert ("Webhook 1" in written) == (answer != 200)


@pytest.mark.parametrize("address", BAD)
def test_a_wrong_address_is_refused_without_showing_it(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOOK", address)
    caplog.set_level(logging.DEBUG)
    (note,) = notify(FAILED, "", options())
    assert note.startswith("Webhook 1 was not notified: the ")
    assert "SECRET" not in note + caplog.text


@pytest.mark.parametrize(
    "value", ["https://hooks.slack.com/services/T0SECRET", "hooks", "env:", "env:A B", "projects/p/secrets"]
)
def test_an_address_among_the_parameters_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(UserError) as caught:
        NotificationOptions(webhooks=["env:HOOK", value])
    assert "number 2 says where an address is" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_file_holds_the_address(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text(f"  {receiver.url}\n")
    assert notify(FAILED, "", options(webhooks=[f"file:{file}"])) == []
    assert len(receiver.received) == 1


class SecretManager:
    """Versions of secrets; projects.secrets.versions.access of Secret Manager's REST reference."""

    def __init__(self, secrets: dict[str, str]) -> None:
        self.secrets = secrets

    def name(self, request: Request) -> str:
        return "AccessSecretVersion"

    def answer(self, request: Request) -> Answer:
        name = request.path.removeprefix("/v1/").removesuffix(":access")
        if request.verb != "GET" or not request.path.endswith(":access") or name not in self.secrets:
            raise ApiError(404, f"Secret Version [{name}] not found.")
        data = base64.b64encode(self.secrets[name].encode()).decode()
        return Answer(json.dumps({"name": name, "payload": {"data": data}}).encode())


@pytest.mark.parametrize("fault", [None, "permission denied", "503"])
@pytest.mark.parametrize("where", ["projects/p/secrets/hook", "projects/p/secrets/hook/versions/7"])
def test_secret_manager_holds_the_address(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, where: str, fault: Any
) -> None:
    from google.auth.credentials import AnonymousCredentials

    version = where if "versions" in where else f"{where}/versions/latest"
    faults = Faults()
    monkeypatch.setattr("google.auth.default", lambda scopes: (AnonymousCredentials(), "p"))
    if fault:
        faults.add("*", fault)
    with serving(SecretManager({version: receiver.url}), faults) as url:
        monkeypatch.setattr(secret_module, "API", f"{url}/v1")
        notes = notify(FAILED, "", options(webhooks=[where]))
    reasons = {
        None: [],
        "permission denied": [
            "the run's service account needs the role roles/secretmanager.secretAccessor on the secret"
        ],
        "503": ["Secret Manager returned 503"],
    }
    assert notes == [f"Webhook 1 was not notified: cannot read {version}: {reason}" for reason in reasons[fault]]
    assert len(receiver.received) == (fault is None)
