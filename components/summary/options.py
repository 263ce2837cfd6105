"""Options of the summary stage."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from seqline.errors import UserError
from seqline.plugins.registry import NOTIFIERS
from seqline.schema.options import BaseOptions, Fault

# Where the address of a webhook is: an environment variable, a file, or a secret of Secret Manager.
SECRET = re.compile(r"^(env:[A-Za-z_]\w*|file:[/~]\S*|projects/[^/\s]+/secrets/[\w-]+(/versions/(latest|\d+))?)$")


OPEN = "RUNNING"
"""State of a run whose tasks have ended, but of which the server of Kubeflow does not know it: its launchers record it,
and after the last one a driver may have recorded a cached or omitted task (`UpdateDAGExecutionsState` in
backend/src/v2/metadata/client.go of kubeflow/pipelines 2.5 to 2.17). So has a run whose last pod was killed."""
# States of ML Metadata, which Kubeflow passes on, and what they are called elsewhere.
STATES = {
    "COMPLETE": "SUCCEEDED",
    "CACHED": "SUCCEEDED",
    "CANCELED": "CANCELLED",
    "": OPEN,
    "NEW": OPEN,
    "UNKNOWN": OPEN,
}


FORMATS = ("auto", "slack", "teams", "json")
"""Forms of a webhook's message."""


class RunStatus(BaseOptions):
    """The run's final status, as the orchestrator reports it."""

    state: str = Field("SUCCEEDED", description="SUCCEEDED, FAILED or CANCELLED.")
    task: str = Field("", description="The task that the status is about; elsewhere the name of the exit handler.")
    error: str = Field("", description="The error message; empty if nothing failed.")
    resource: str = Field("", description="Resource name of the run on Vertex AI; elsewhere the run's name.")

    @field_validator("state")
    @classmethod
    def _read_state(cls, state: str) -> str:
        return STATES.get(state, state)


class NotificationOptions(BaseOptions):
    """Who is notified at the end of a run, whether it succeeded or failed."""

    webhooks: list[str] = Field(
        [],
        max_length=5,
        description="Where the addresses of webhooks are: env:NAME, file:/PATH, or a secret of Secret Manager as "
        "projects/P/secrets/NAME. The address itself is a secret, so it is not written here.",
    )
    format: Literal["auto", "slack", "teams", "json"] = Field(
        "auto", description="Form of the message; auto chooses by the address, with JSON for any other service."
    )
    notifiers: dict[str, dict[str, Any]] = Field(
        {}, description='Notifiers of plugins with their options by name, such as {"pager": {"team": "translation"}}.'
    )
    only_failures: bool = Field(False, description="Whether to notify about failed runs only.")

    def faults_in(self, run: Mapping[str, Any]) -> Iterator[Fault]:
        """Yields notifiers that are not installed; summarize, which must not fail, notes them instead."""
        for name in self.notifiers:
            try:
                NOTIFIERS.find(name)
            except UserError as error:  # noqa: PERF203
                yield Fault(("notifiers", name), str(error), predicate=False)

    @field_validator("webhooks")
    @classmethod
    def _check_webhooks(cls, webhooks: list[str]) -> list[str]:
        for number, one in enumerate(webhooks, start=1):
            if not SECRET.match(one):
                # The value may be the address, so it is not repeated.
                raise ValueError(
                    f"number {number} says where an address is: env:NAME, file:/PATH or projects/P/secrets/NAME; an "
                    "address itself does not belong here, because everyone who can see the run can see its parameters"
                )
        return webhooks
