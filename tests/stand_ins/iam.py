"""Google Cloud's IAM on loopback: who has which permission on what, asked in each service's own form."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.stand_ins.server import Answer, ApiError, Faults, Request, serving

CALLER = "caller"
# Form of the request of each service: the verb, and the resource's name in the path.
# https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions
# https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions
# https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories/testIamPermissions
# https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/testIamPermissions
# https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/testIamPermissions
# https://cloud.google.com/bigquery/docs/reference/rest/v2/tables/testIamPermissions
ASKED = {
    "project": re.compile(r"POST /v3/(projects/[^/:]+):testIamPermissions"),
    "bucket": re.compile(r"GET /storage/v1/b/([^/]+)/iam/testPermissions"),
    "repository": re.compile(r"POST /v1/(projects/[^/]+/locations/[^/]+/repositories/[^/:]+):testIamPermissions"),
    "account": re.compile(r"POST /v1/projects/-/serviceAccounts/([^/:]+):testIamPermissions"),
    "table": re.compile(r"POST /bigquery/v2/(projects/[^/]+/datasets/\w+/tables/\w+):testIamPermissions"),
    "secret": re.compile(r"POST /v1/(projects/[^/]+/secrets/[^/:]+):testIamPermissions"),
}
# https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
TOKEN = re.compile(r"POST /v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken")
# Permissions that each kind of resource takes; another one is an error, as the reference of testIamPermissions says.
FAMILIES = {
    "bucket": ("storage.",),
    "repository": ("artifactregistry.",),
    "account": ("iam.",),
    "secret": ("secretmanager.",),
    "table": ("bigquery.tables.",),
}


@dataclass
class IamStandIn:
    """A project's permissions.

    Attributes:
        url: Where it listens.
        resources: The resources that exist, by name.
        without: Permissions that are missing: identity, resource, permission. Everything else is granted.
        impersonable: Service accounts that the caller may act as.
        asked: What was asked: identity, resource, permissions.
    """

    url: str = ""
    resources: set[str] = field(default_factory=set)
    without: set[tuple[str, str, str]] = field(default_factory=set)
    impersonable: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, list[str]]] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["IamStandIn"]:
        """Starts it on a free port."""
        stand_in = cls()
        with serving(stand_in, stand_in.faults) as stand_in.url:
            yield stand_in

    def name(self, request: Request) -> str:
        return "Token" if TOKEN.fullmatch(f"{request.verb} {request.path}") else "TestIamPermissions"

    def answer(self, request: Request) -> Answer:
        line = f"{request.verb} {request.path}"
        if token := TOKEN.fullmatch(line):
            return self._token(token[1], json.loads(request.body))
        for kind, pattern in ASKED.items():
            if match := pattern.fullmatch(line):
                return self._test(kind, match[1], self._identity(request), _permissions(request))
        raise ApiError(404, f"no method for {line}")

    def _token(self, account: str, body: dict[str, Any]) -> Answer:
        if account not in self.impersonable:
            raise ApiError(
                403, "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
            )
        if body.get("scope") != ["https://www.googleapis.com/auth/cloud-platform"]:
            raise ApiError(400, "Request contains an invalid argument: scope")
        return _json({"accessToken": f"token-of-{account}", "expireTime": "2030-01-01T00:00:00Z"})

    def _identity(self, request: Request) -> str:
        token = request.headers.get("authorization", "")
        return token.removeprefix("Bearer token-of-") if token.startswith("Bearer token-of-") else CALLER

    def _test(self, kind: str, resource: str, identity: str, permissions: list[str]) -> Answer:
        if resource not in self.resources:
            raise ApiError(404, f"{resource} was not found")
        families = FAMILIES.get(kind)
        wrong = [one for one in permissions if "*" in one or (families and not one.startswith(families))]
        if wrong or not permissions:
            raise ApiError(400, f"Permission {', '.join(wrong)} is not valid for this resource.")
        self.asked.append((identity, resource, permissions))
        granted = [one for one in permissions if (identity, resource, one) not in self.without]
        # An empty list is left out, as in every JSON of these services.
        return _json({"permissions": granted} if granted else {})


def _permissions(request: Request) -> list[str]:
    if request.verb == "GET":
        return [value for name, value in request.query if name == "permissions"]
    return list(json.loads(request.body)["permissions"])


def _json(content: Any) -> Answer:
    return Answer(json.dumps(content).encode())
