"""A namespace of a Kubernetes cluster: objects that are read, changed without lost updates, and watched.

A change is a function of the object as it is. It is written with the `resourceVersion` that was read, so the API server
refuses it with 409 if someone else was faster: kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.
Then, and when the answer is lost, the object is read and the function is called again. A change that was applied after
all then has nothing left to do.
"""

import contextlib
import copy
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from seqline.documentation import page
from seqline.errors import UnreachableError, UserError
from seqline.vertex_api.first_contact import first_contact, reason_of
from seqline.vertex_api.retries import Retries

log = logging.getLogger(__name__)

T = TypeVar("T")
Object = dict[str, Any]

# Seconds before each further attempt of a call.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# Further attempts of a change that conflicts: KServe's controller writes the status of an object meanwhile.
CONFLICTS = 20
TIMEOUT = (10.0, 60.0)
# A watch ends after this time, and the object is read again.
WATCH_SECONDS = 60.0
CONFLICT = 409
TRANSIENT = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Kind:
    """A kind of objects.

    Attributes:
        version: Its apiVersion.
        name: Its kind.
        plural: Its name in addresses.
    """

    version: str
    name: str
    plural: str

    def path(self, namespace: str, name: str = "") -> str:
        """Returns the address of the objects of a namespace, or of one."""
        root = "/apis" if "/" in self.version else "/api"
        return f"{root}/{self.version}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")


INFERENCE_SERVICE = Kind("serving.kserve.io/v1beta1", "InferenceService", "inferenceservices")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
REVISION = Kind("serving.knative.dev/v1", "Revision", "revisions")


class Cluster:
    """A namespace, with the credentials of the pod's service account, or of the kubeconfig.

    Args:
        namespace: The namespace.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.retries = Retries(PAUSES, _explained, _is_transient)

    @property
    def inside(self) -> bool:
        """Whether this process runs in a pod: it then resolves the names of services."""
        return not os.environ.get("KUBECONFIG") and "KUBERNETES_SERVICE_HOST" in os.environ

    @cached_property
    def client(self) -> Any:
        """The API client."""
        import urllib3
        from kubernetes import client, config

        settings = client.Configuration()
        try:
            if self.inside:
                config.load_incluster_config(client_configuration=settings)
            else:
                # The client's own default is the variable's value when the client was imported.
                file = os.environ.get("KUBECONFIG") or None
                config.load_kube_config(config_file=file, client_configuration=settings)
        except config.ConfigException as error:
            raise UserError(
                f"there is no access to a Kubernetes cluster ({error}); set KUBECONFIG to the file with its address "
                "and credentials, or run in a pod with a service account"
            ) from error
        # Calls are retried here, where it is known which may be repeated.
        settings.retries = urllib3.Retry(0)
        return client.ApiClient(settings)

    def get(self, kind: Kind, name: str) -> Object | None:
        """Returns an object, or None if there is none.

        Args:
            kind: Its kind.
            name: Its name.

        Raises:
            UserError: If the API server does not respond, or refuses.
        """
        found: Object | None = self.retries.read(
            f"read the {kind.name} {self.namespace}/{name}", lambda: self._get(kind, name)
        )
        return found

    def list(self, kind: Kind, selector: str) -> list[Object]:
        """Returns the objects with a label.

        Args:
            kind: Their kind.
            selector: The label, such as app=seqline.
        """
        query = [("labelSelector", selector)]
        what = f"list the {kind.plural} of {self.namespace}"
        return list(self.retries.read(what, lambda: self._call("GET", kind.path(self.namespace), query=query))["items"])

    def change(self, kind: Kind, name: str, alter: Callable[[Object | None], Object]) -> Object:
        """Changes an object, or creates it; a change of someone else is not overwritten.

        Args:
            kind: Its kind.
            name: Its name.
            alter: From the object, None if there is none, to the object as it shall be. It may be called several
                times, and each time with the newest object.

        Returns:
            The object as it is now.

        Raises:
            UserError: If the API server does not respond, refuses, or someone else changes the object all the time; or
                whatever `alter` raises.
        """
        what = f"change the {kind.name} {self.namespace}/{name}"
        pauses = [*PAUSES]
        with _explained(what):
            for _ in range(CONFLICTS):
                current = self.get(kind, name)
                wanted = alter(copy.deepcopy(current))
                if wanted == current:
                    return wanted
                try:
                    return self._write(kind, name, current, wanted)
                except Exception as error:
                    if not _is_conflict(error):
                        if not _is_transient(error) or not pauses:
                            raise
                        self.retries.pause(what, error, pauses.pop(0))
        raise UserError(f"cannot {what}: someone else keeps changing it; try again")

    def delete(self, kind: Kind, name: str) -> bool:
        """Deletes an object, and returns whether there was one.

        Args:
            kind: Its kind.
            name: Its name.
        """
        from kubernetes.client import ApiException

        def remove() -> bool:
            try:
                self._call("DELETE", kind.path(self.namespace, name))
            except ApiException as error:
                if error.status == 404:
                    return False
                raise
            return True

        return bool(self.retries.read(f"delete the {kind.name} {self.namespace}/{name}", remove))

    def wait(self, kind: Kind, name: str, look: Callable[[Object | None], T | None], seconds: float) -> T | None:
        """Waits until an object has what is looked for.

        Args:
            kind: Its kind.
            name: Its name.
            look: Returns what is looked for, or None.
            seconds: Time limit.

        Returns:
            What `look` returned; None after the time limit.
        """
        deadline = time.monotonic() + seconds
        while True:
            current = self.get(kind, name)
            found = look(current)
            left = deadline - time.monotonic()
            if found is not None or left <= 0:
                return found
            self._await_change(kind, name, current, min(left, WATCH_SECONDS))

    def _await_change(self, kind: Kind, name: str, current: Object | None, seconds: float) -> None:
        """Returns at the first event of a watch, or when it ends."""
        query = [
            ("watch", "true"),
            ("fieldSelector", f"metadata.name={name}"),
            ("timeoutSeconds", str(max(1, round(seconds)))),
        ]
        if current is not None:
            query.append(("resourceVersion", current["metadata"]["resourceVersion"]))
        try:
            response = self._call("GET", kind.path(self.namespace), query=query, stream=True)
            try:
                next(response.stream(1), None)
            finally:
                response.close()
        except Exception as error:
            # 410: the version is too old to be watched from; the object is read again.
            if not _is_transient(error) and getattr(error, "status", 0) != 410:
                raise
            self.retries.sleep(PAUSES[0])

    def _get(self, kind: Kind, name: str) -> Object | None:
        from kubernetes.client import ApiException

        try:
            return dict(self._call("GET", kind.path(self.namespace, name)))
        except ApiException as error:
            # An object that does not exist has a status with details; an unknown API is answered in plain text.
            if error.status == 404 and _status(error).get("details"):
                return None
            if error.status == 404:
                raise UserError(
                    f"the cluster has no {kind.name} of {kind.version}; install KServe"
                    + (" with Knative, or use deployment_mode: standard" if kind is REVISION else "")
                ) from error
            raise

    def _write(self, kind: Kind, name: str, current: Object | None, wanted: Object) -> Object:
        if current is None:
            return dict(self._call("POST", kind.path(self.namespace), body=wanted))
        return dict(self._call("PUT", kind.path(self.namespace, name), body=wanted))

    def _call(self, verb: str, path: str, query: Any = (), body: Object | None = None, stream: bool = False) -> Any:
        return self.client.call_api(
            path,
            verb,
            query_params=list(query),
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
            response_type=None if stream else "object",
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=not stream,
            _request_timeout=(first_contact.connect_seconds(TIMEOUT[0]), TIMEOUT[1]),
        )


def _status(error: Any) -> Object:
    """The Status object that the API server answers an error with; empty if it is none."""
    try:
        found = json.loads(error.body or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_conflict(error: Exception) -> bool:
    """Whether an object is not as it was read, or exists already."""
    return getattr(error, "status", 0) == CONFLICT


def _is_transient(error: Exception) -> bool:
    import urllib3

    return isinstance(error, urllib3.exceptions.HTTPError | OSError) or getattr(error, "status", None) in (
        0,
        *TRANSIENT,
    )


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turns the errors of the API client into messages for users."""
    import urllib3
    from kubernetes.client import ApiException

    try:
        yield
    except ApiException as error:
        message = _status(error).get("message") or error.reason or error.body
        hint = {
            401: "; the credentials are not valid or have expired",
            403: f"; {page('kserve.md')} has the role that it needs",
        }.get(error.status, "")
        raise (UnreachableError if hint else UserError)(f"cannot {what}: {message}{hint}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnreachableError(f"cannot {what}: the cluster does not respond: {reason_of(error)}") from error
