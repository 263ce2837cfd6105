"""Notifications: sends the outcome of a run to webhooks.

The address of a webhook is a secret: whoever has it can write into the channel. So it is read here, at the end of the
run, and appears in no log, no error and no file.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

from seqline.artifacts.run_summary import Summary
from seqline.components.summary.options import NotificationOptions
from seqline.components.summary.secret import read_secret
from seqline.components.summary.webhook import Undelivered, post
from seqline.errors import UserError

log = logging.getLogger(__name__)

# For all webhooks together, which are called at the same time.
SECONDS = 60.0
TEXT_LIMIT = 1000
# Webhooks of Teams are flows of Power Automate; those of the retired connectors still exist.
# https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
TEAMS = (".webhook.office.com", ".logic.azure.com", ".api.powerplatform.com")
# https://api.slack.com/messaging/webhooks
SLACK = ("hooks.slack.com", "hooks.slack-gov.com")

Form = Literal["slack", "teams", "json"]


def notify(summary: Summary, resource: str, options: NotificationOptions, seconds: float = SECONDS) -> list[str]:
    """Sends the outcome of a run to every webhook.

    Args:
        summary: The outcome.
        resource: Resource name of the run on Vertex AI; elsewhere anything.
        options: The webhooks.
        seconds: Time limit for all of them.

    Returns:
        A sentence for each webhook that was not notified; without its address.
    """
    if options.only_failures and summary.state == "SUCCEEDED":
        return []
    notes: dict[int, str] = {}
    deadline = time.monotonic() + seconds
    # A server that answers byte by byte keeps a connection open beyond any timeout of a socket, so each is a thread.
    threads = [
        threading.Thread(target=_one, args=(number, where, summary, resource, options, deadline, notes), daemon=True)
        for number, where in enumerate(options.webhooks, start=1)
    ]
    for thread in threads:
        thread.start()
    for number, thread in enumerate(threads, start=1):
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            notes[number] = f"Webhook {number} did not answer within {seconds:g} s."
    for number in sorted(notes):
        log.warning("%s", notes[number])
    return [notes[number] for number in sorted(notes)]


def _one(
    number: int,
    where: str,
    summary: Summary,
    resource: str,
    options: NotificationOptions,
    deadline: float,
    notes: dict[int, str],
) -> None:
    try:
        address = read_secret(where)
        form = _form(address) if options.format == "auto" else options.format
        post(address, MESSAGES[form](summary, page_of(resource)), deadline, key=summary.run)
        log.info("webhook %d was notified", number)
    except (UserError, Undelivered) as error:
        notes[number] = f"Webhook {number} was not notified: {error}"
    except Exception as error:
        # Any other message may hold the address.
        notes[number] = f"Webhook {number} was not notified: {type(error).__name__}"


def _form(address: str) -> Form:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        host = ""
    if host in SLACK:
        return "slack"
    return "teams" if host.endswith(TEAMS) else "json"


def page_of(resource: str) -> str:
    """Returns the address of the run's page in the console of Google Cloud; empty on other targets.

    Args:
        resource: Resource name of the run.
    """
    parts = resource.split("/")
    if len(parts) != 6 or parts[0] != "projects" or parts[4] != "pipelineJobs":
        return ""
    base = "https://console.cloud.google.com/vertex-ai/locations"
    return f"{base}/{parts[3]}/pipelines/runs/{parts[5]}?project={parts[1]}"


def _lines(summary: Summary, page: str) -> list[str]:
    """The message: what, the outcome, why, the first metrics, where."""
    metrics = [f"{name} {metric.value:.2f}" for name, metric in list(summary.metrics.items())[:3]]
    lines = [f"Seqline run {summary.run}: {summary.state}", summary.headline(), summary.error[:TEXT_LIMIT]]
    lines += [", ".join(metrics), f"Data: {summary.data}" if summary.data else "", page]
    return [line for line in lines if line]


def _slack(summary: Summary, page: str) -> dict[str, Any]:
    # https://api.slack.com/reference/surfaces/formatting#escaping
    text = "\n".join(_lines(summary, page)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": text}


def _teams(summary: Summary, page: str) -> dict[str, Any]:
    # https://learn.microsoft.com/en-us/connectors/teams/#microsoft-teams-webhook
    title, *rest = _lines(summary, "")
    body = [{"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True}]
    body += [{"type": "TextBlock", "text": line, "wrap": True} for line in rest]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if page:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the run", "url": page}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _json(summary: Summary, page: str) -> dict[str, Any]:
    return {"headline": summary.headline(), "page": page, "summary": json.loads(summary.to_json())}


MESSAGES: dict[Form, Callable[[Summary, str], dict[str, Any]]] = {"slack": _slack, "teams": _teams, "json": _json}
