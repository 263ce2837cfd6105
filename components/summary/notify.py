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
from seqline.plugins.contracts import accepted
from seqline.plugins.registry import NOTIFIERS
from seqline.vertex_api.run_page import page_of

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
    """Sends the outcome of a run to every webhook, and calls every notifier of a plugin.

    Args:
        summary: The outcome.
        resource: Resource name of the run on Vertex AI; elsewhere anything.
        options: The webhooks and notifiers.
        seconds: Time limit for all of them.

    Returns:
        A sentence for each that was not notified; without a webhook's address.
    """
    if summary.quiet or (options.only_failures and summary.state == "SUCCEEDED" and not summary.monitoring):
        return []
    notes: dict[str, str] = {}
    deadline = time.monotonic() + seconds
    # A server that answers byte by byte keeps a connection open beyond any timeout of a socket, so each is a thread.
    threads: dict[str, threading.Thread] = {}
    for number, where in enumerate(options.webhooks, start=1):
        name = f"Webhook {number}"
        arguments: tuple[Any, ...] = (name, where, summary, resource, options, deadline, notes)
        threads[name] = threading.Thread(target=_one, args=arguments, daemon=True)
    for plugin, given in options.notifiers.items():
        name = f"Notifier {plugin}"
        arguments = (name, plugin, summary, page_of(resource), given, notes)
        threads[name] = threading.Thread(target=_plugin, args=arguments, daemon=True)
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            notes[name] = f"{name} did not answer within {seconds:g} s."
    found = [notes[name] for name in threads if name in notes]
    for note in found:
        log.warning("%s", note)
    return found


def _plugin(
    name: str, plugin: str, summary: Summary, page: str, options: dict[str, Any], notes: dict[str, str]
) -> None:
    try:
        notifier = NOTIFIERS.find(plugin).implementation
        notifier(**accepted(notifier, {"summary": summary, "page": page, "options": options}))
        log.info("the notifier %s was called", plugin)
    except UserError as error:
        notes[name] = f"{name} was not called: {error}"
    except Exception as error:
        # Any other message may hold a secret of the receiver.
        notes[name] = f"{name} failed: {type(error).__name__}"


def _one(
    name: str,
    where: str,
    summary: Summary,
    resource: str,
    options: NotificationOptions,
    deadline: float,
    notes: dict[str, str],
) -> None:
    try:
        address = read_secret(where)
        form = _form(address) if options.format == "auto" else options.format
        post(address, MESSAGES[form](summary, page_of(resource)), deadline, key=summary.run)
        log.info("%s was notified", name)
    except (UserError, Undelivered) as error:
        notes[name] = f"{name} was not notified: {error}"
    except Exception as error:
        # Any other message may hold the address.
        notes[name] = f"{name} was not notified: {type(error).__name__}"


def _form(address: str) -> Form:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        host = ""
    if host in SLACK:
        return "slack"
    return "teams" if host.endswith(TEAMS) else "json"


def _lines(summary: Summary, page: str) -> list[str]:
    """The message: what, the outcome, why, the first metrics, where."""
    metrics = [f"{name} {metric.value:.2f}" for name, metric in list(summary.metrics.items())[:3]]
    lines = [f"Seqline run {summary.run}: {summary.state}", summary.headline(), summary.error[:TEXT_LIMIT]]
    lines += [f"Started because: {summary.reason[:TEXT_LIMIT]}" if summary.reason else ""]
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
