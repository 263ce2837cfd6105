"""Asks Google Cloud whether each identity of a configuration has its roles.

The service answers for the caller only (testIamPermissions), so for another identity the question is asked with a token
of that service account, which takes the role roles/iam.serviceAccountTokenCreator on it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from seqline.configuration.images import Images
from seqline.configuration.parameters import merge
from seqline.errors import UserError
from seqline.inputs.bigquery import is_query
from seqline.targets.vertex.connection import SCOPE, Connection
from seqline.targets.vertex.roles import AGENTS, Grant, grants

if TYPE_CHECKING:
    from seqline.configuration import Configuration

CALLER = "schedule"
MONITORING = "monitoring"
DATA = ("data", "valid_data", "test_data", "feedback")
DOCKER = re.compile(r"^(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<name>[^/]+)")
KFP = re.compile(r"^https://(?P<location>[a-z0-9-]+)-kfp\.pkg\.dev/(?P<project>[^/]+)/(?P<name>[^/]+)")
# PROJECT.DATASET, and the table, which Vertex AI calls request_response_logging unless it is named:
# `PredictRequestResponseLoggingConfig.bigquery_destination` of google.cloud.aiplatform_v1.
LOG = re.compile(r"^bq://([^.]+)\.(\w+)(?:\.(\w+))?$")
TABLE = "request_response_logging"
SECRET = re.compile(r"^(projects/[^/]+/secrets/[^/]+)")
# https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions, and the same verb of:
# storage/docs/json_api/v1/buckets/testIamPermissions, artifact-registry/docs/reference/rest,
# iam/docs/reference/rest/v1/projects.serviceAccounts, secret-manager/docs/reference/rest,
# bigquery/docs/reference/rest/v2/tables/testIamPermissions (a dataset has no such verb).
HOSTS = {
    "project": "https://cloudresourcemanager.googleapis.com/v3/projects/{}:testIamPermissions",
    "bucket": "https://storage.googleapis.com/storage/v1/b/{}/iam/testPermissions",
    "repository": "https://artifactregistry.googleapis.com/v1/{}:testIamPermissions",
    "account": "https://iam.googleapis.com/v1/projects/-/serviceAccounts/{}:testIamPermissions",
    "log": "https://bigquery.googleapis.com/bigquery/v2/{}:testIamPermissions",
    "secret": "https://secretmanager.googleapis.com/v1/{}:testIamPermissions",
}
IMPERSONATION = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{}:generateAccessToken"


@dataclass(frozen=True)
class Answer:
    """Whether an identity has its roles.

    Attributes:
        identity: As in `Grant`.
        account: Its address; empty for the caller.
        state: `ok`; `missing` if a role is missing; `unknown` if the question cannot be asked.
        message: The roles that it has, the one that is missing, or why the question cannot be asked.
        advice: What fails, and the command that grants the role.
    """

    identity: str
    account: str
    state: Literal["ok", "missing", "unknown"]
    message: str
    advice: str = ""


@dataclass
class Setting:
    """What a configuration's identities and resources are.

    Attributes:
        accounts: Address by identity; the caller's is empty, and one without an address is missing.
        resources: Names by kind, as in `Grant.resource`.
        needs: The parts of the configuration that need roles of their own.
    """

    accounts: dict[str, str] = field(default_factory=dict)
    resources: dict[str, list[str]] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)


def setting_of(configuration: "Configuration") -> Setting:
    """Reads identities and resources from a configuration.

    Args:
        configuration: With `targets.vertex`.
    """
    vertex = configuration.targets.vertex
    assert vertex is not None  # noqa: S101 (the target was opened)
    values = merge(configuration.parameters, vertex.parameters)
    found = Setting({CALLER: "", "runs": vertex.service_account})
    data = [str(values.get(name) or "") for name in DATA]
    webhooks = _section(values, "notification").get("webhooks") or []
    serving = str(_section(values, "serving").get("service_account") or "")
    found.accounts["serving"] = serving
    if vertex.dataflow is not None:
        found.needs.add("dataflow")
        found.accounts["dataflow"] = vertex.dataflow.service_account or vertex.service_account
    if configuration.triggers:
        found.needs.add("triggers")
        accounts = {one.account(vertex.project) for one in configuration.triggers.values()}
        found.accounts["trigger"] = accounts.pop() if len(accounts) == 1 else ""
    if vertex.encryption_key:
        found.needs.add("key")
    monitoring = _monitored(configuration, values)
    monitoring_section = _section(monitoring, "monitoring")
    log_table = LOG.match(str(_section(values, "serving").get("log_table") or ""))
    if log_table and log_table[1] != vertex.project:
        found.needs.add("log")
    requests = str(monitoring_section.get("requests") or "")
    if monitoring and (not requests or requests.startswith("bq://")):
        found.needs.add("monitoring")
    if monitoring_section.get("cloud_monitoring"):
        found.needs.add("cloud-monitoring")
    retraining = _section(_section(monitoring, "retraining"), "parameters")
    data += [str(retraining.get(name) or "") for name in DATA]
    log = LOG.match(requests) or log_table
    if any(map(is_query, data)):
        found.needs.add("bigquery")
    secrets = [match[1] for one in webhooks if (match := SECRET.match(str(one)))]
    if secrets:
        found.needs.add("webhook")
    patterns = [*(part for text in data if not is_query(text) for part in text.split(","))]
    patterns += [one.objects for one in configuration.triggers.values()]
    found.resources = {
        "project": [vertex.project],
        "bucket": [vertex.pipeline_root.removeprefix("gs://").partition("/")[0]],
        "data": sorted({one.strip().split("/")[2] for one in patterns if one.strip().startswith("gs://")}),
        "images": _images(configuration.images),
        "templates": _templates(vertex.repository, vertex.project, vertex.location),
        "secret": sorted(set(secrets)),
        "key": [vertex.encryption_key] if vertex.encryption_key else [],
        "log": [f"projects/{log[1]}/datasets/{log[2]}/tables/{log[3] or TABLE}"] if log else [],
        **{name: [address] for name, address in found.accounts.items() if address},
    }
    return found


def _monitored(configuration: "Configuration", values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of the pipeline `monitoring`, here or in a schedule; none if it does not run."""
    if configuration.pipeline == MONITORING:
        return {"monitoring": {}, **values}
    for schedule in configuration.schedules.values():
        if schedule.target == "vertex" and schedule.pipeline == MONITORING:
            return {"monitoring": {}, **schedule.parameters}
    return {}


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name)
    return section if isinstance(section, Mapping) else {}


def _images(images: Images) -> list[str]:
    match = DOCKER.match(images.repository)
    return [_repository(**match.groupdict())] if match else []


def _templates(repository: str, project: str, location: str) -> list[str]:
    match = KFP.match(repository)
    if match:
        return [_repository(**match.groupdict())]
    return [_repository(location, project, repository)] if repository and "://" not in repository else []


def _repository(location: str, project: str, name: str) -> str:
    return f"projects/{project}/locations/{location}/repositories/{name}"


class Permissions:
    """Asks for the roles of a configuration's identities.

    Args:
        connection: The connection to the project.
        setting: Identities and resources.
    """

    def __init__(self, connection: Connection, setting: Setting) -> None:
        self.connection = connection
        self.setting = setting

    def answers(self) -> Iterator[Answer]:
        """Yields what each identity has and what it is missing."""
        wanted = [grant for grant in grants() if grant.needed(self.setting.needs)]
        for identity in dict.fromkeys(grant.identity for grant in wanted):
            yield from self._of(identity, [grant for grant in wanted if grant.identity == identity])

    def _of(self, identity: str, wanted: Sequence[Grant]) -> Iterator[Answer]:
        account = self.setting.accounts.get(identity, "")
        if identity in AGENTS:
            yield from self._of_agent(identity, wanted)
            return
        if identity != CALLER and not account:
            keys = {"runs": "targets.vertex.service_account", "serving": "serving.service_account"}
            message = f"{keys.get(identity, identity)} is not set: the project's default account is used"
            yield Answer(identity, "", "unknown", message, "set it to the account that terraform/ creates")
            return
        try:
            session = self.connection.session if identity == CALLER else self._session(account)
        except UserError as error:
            advice = f"grant this caller roles/iam.serviceAccountTokenCreator on {account}"
            yield Answer(identity, account, "unknown", str(error), advice)
            return
        asked = [(grant, resource) for grant in wanted for resource in self.setting.resources.get(grant.resource, ())]
        without = 0
        for grant in wanted:
            if grant.resource == "log" and not self.setting.resources.get("log"):
                without += 1
                message = (
                    f"{grant.role} on the log of requests cannot be asked for: serving.log_table and "
                    "monitoring.requests are empty, and Vertex AI names a new dataset itself"
                )
                advice = f"without it {grant.fails}; set serving.log_table, or grant the role on Vertex AI's dataset"
                yield Answer(identity, account, "unknown", message, advice)
        for grant, resource in asked:
            advice = f"without it {grant.fails}; {_command(grant, resource, account)}"
            try:
                missing = self._missing(session, grant, resource)
            except UserError as error:
                without += 1
                yield Answer(identity, account, "unknown", str(error), advice)
                continue
            if missing:
                without += 1
                message = f"{grant.role} on {_named(grant.resource, resource)} is missing ({', '.join(missing)})"
                yield Answer(identity, account, "missing", message, advice)
        if not without:
            yield Answer(identity, account, "ok", f"has all {len(asked)} roles")

    def _of_agent(self, identity: str, wanted: Sequence[Grant]) -> Iterator[Answer]:
        """What a service agent needs: nobody but Google can act as it, so it cannot be asked."""
        service, name = AGENTS[identity]
        (project,) = self.setting.resources["project"]
        account = f"service-PROJECT_NUMBER@{name}.iam.gserviceaccount.com"
        for grant in wanted:
            for resource in self.setting.resources.get(grant.resource, ()):
                message = (
                    f"cannot be checked: it is {service}'s own account, as which only Google can act; it needs "
                    f"{grant.role} on {_named(grant.resource, resource)}"
                )
                number = f"$(gcloud projects describe {project} --format='value(projectNumber)')"
                command = _command(grant, resource, account.replace("PROJECT_NUMBER", number))
                yield Answer(identity, account, "unknown", message, f"without it {grant.fails}; {command}")

    def _session(self, account: str) -> Any:
        """A session that acts as a service account."""
        import requests

        body = {"scope": [SCOPE], "lifetime": "300s"}
        url, what = IMPERSONATION.format(account), f"act as {account}"
        answer = self._call(self.connection.session, "POST", url, what, json=body)
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {answer['accessToken']}"
        return session

    def _missing(self, session: Any, grant: Grant, resource: str) -> list[str]:
        kind = {"data": "bucket", "images": "repository", "templates": "repository"}.get(grant.resource, grant.resource)
        kind = kind if kind in HOSTS else "account"
        url, asked = HOSTS[kind].format(resource), list(grant.permissions)
        what = f"ask for the permissions on {_named(grant.resource, resource)}"
        if kind == "bucket":
            answer = self._call(session, "GET", url, what, params={"permissions": asked})
        else:
            answer = self._call(session, "POST", url, what, json={"permissions": asked})
        return [permission for permission in asked if permission not in answer.get("permissions", [])]

    def _call(self, session: Any, verb: str, url: str, what: str, **content: Any) -> Mapping[str, Any]:
        from google.api_core.exceptions import from_http_response

        if self.connection.plain:
            url = self.connection.settings.api_endpoint.rstrip("/") + "/" + url.split("/", 3)[3]

        def call() -> Mapping[str, Any]:
            response = session.request(verb, url, timeout=60, **content)
            if response.status_code >= 400:
                raise from_http_response(response)
            return dict(response.json())

        return self.connection.read(what, call)


def _named(on: str, resource: str) -> str:
    kinds = {"project": "project", "bucket": "bucket", "data": "bucket", "images": "repository"}
    kinds |= {"templates": "repository", "secret": "secret", "key": "key"}
    if on == "log":
        return f"dataset {_dataset(resource)}"
    return f"{kinds.get(on, 'service account')} {resource.rpartition('/')[2]}"


def _dataset(log: str) -> str:
    """PROJECT.DATASET of projects/PROJECT/datasets/DATASET/tables/TABLE."""
    _, project, _, dataset, *_ = log.split("/")
    return f"{project}.{dataset}"


def _command(grant: Grant, resource: str, account: str) -> str:
    """The command of gcloud that grants a role, or who grants it."""
    if grant.resource == "log":
        # No command of gcloud grants a role on a dataset.
        return f"whoever owns the dataset {_dataset(resource)} grants it, or terraform/ does (log_dataset)"
    words = {
        "project": "projects add-iam-policy-binding {}",
        "bucket": "storage buckets add-iam-policy-binding gs://{}",
        "data": "storage buckets add-iam-policy-binding gs://{}",
        "images": "artifacts repositories add-iam-policy-binding {}",
        "templates": "artifacts repositories add-iam-policy-binding {}",
        "secret": "secrets add-iam-policy-binding {}",
        "key": "kms keys add-iam-policy-binding {}",
    }.get(grant.resource, "iam service-accounts add-iam-policy-binding {}")
    member = f"serviceAccount:{account}" if account else "MEMBER"
    # In double quotes the shell looks the project's number up.
    member = f'"{member}"' if "$" in member else member
    return f"`gcloud {words.format(resource)} --member={member} --role={grant.role}`"
