"""The roles of Seqline's identities in a Google Cloud project; `roles.yaml` lists them."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Services of which one role has nearly every permission that is not an administrator's.
BROAD = ("aiplatform.", "dataflow.", "eventarc.", "workflows.")
# Google's service agents, as in service-PROJECT_NUMBER@NAME.iam.gserviceaccount.com:
# https://cloud.google.com/iam/docs/service-agents
AGENTS = {
    "storage-agent": ("Cloud Storage", "gs-project-accounts"),
    "registry-agent": ("Artifact Registry", "gcp-sa-artifactregistry"),
    "vertex-agent": ("Vertex AI", "gcp-sa-aiplatform"),
    "compute-agent": ("Compute Engine", "compute-system"),
    "dataflow-agent": ("Dataflow", "dataflow-service-producer-prod"),
}
# Of permissions that Seqline uses for its own questions.
OTHERS = {"iam.serviceAccounts.getAccessToken": ("roles/iam.serviceAccountTokenCreator", "runs")}
# A permission in an error message: SERVICE.RESOURCE.VERB.
PERMISSION = re.compile(r"\b[a-z][a-z0-9-]+\.[a-zA-Z]+\.[a-zA-Z]+\b(?!\.)")


@dataclass(frozen=True)
class Grant:
    """One role of one identity.

    Attributes:
        identity: runs, dataflow, serving, schedule or trigger, or one of `AGENTS`.
        resource: Kind of the resource: project, bucket, data, images, templates, dataset, log, secret, key, or an
            identity.
        role: Its name, such as roles/aiplatform.user.
        permissions: Those of the role that Seqline uses.
        fails: What fails without it.
        needs: The parts of the configuration that together need it, of dataflow, bigquery, triggers, webhook, log, key,
            monitoring and cloud-monitoring; empty for always.
    """

    identity: str
    resource: str
    role: str
    permissions: tuple[str, ...]
    fails: str
    needs: str = ""

    def needed(self, parts: Collection[str]) -> bool:
        """Returns whether a configuration needs it.

        Args:
            parts: The configuration's parts that need roles of their own.
        """
        return set(self.needs.split()) <= set(parts)


@cache
def grants() -> tuple[Grant, ...]:
    """Returns every role of every identity."""
    import yaml

    listed = yaml.safe_load(Path(__file__).with_name("roles.yaml").read_text(encoding="utf-8"))
    return tuple(Grant(**{**one, "permissions": tuple(one["permissions"])}) for one in listed)


def role_of(message: str) -> tuple[str, str]:
    """Finds the role that an error's missing permission belongs to.

    Args:
        message: The service's message.

    Returns:
        The role and the kind of resource that it is granted on; two empty texts if the message names no permission of
        a service that Seqline uses.
    """
    for permission in PERMISSION.findall(message):
        if permission in OTHERS:
            return OTHERS[permission]
        # The caller is whoever `schedule` is; the other identities have the same roles on other resources.
        callers = [grant for grant in grants() if grant.identity not in AGENTS or grant.resource == "key"]
        own = sorted(callers, key=lambda grant: grant.identity != "schedule")
        exact = [grant for grant in own if permission in grant.permissions]
        service = permission.partition(".")[0] + "."
        alike = [grant for grant in own if service in BROAD and grant.permissions[0].startswith(service)]
        for grant in (*exact, *alike):
            return grant.role, grant.resource
    return "", ""
