"""What an endpoint on Vertex is made with, and what of it an existing one is given: labels, log and time limit.

an endpoint's label    seqline-log: Seqline makes Vertex log the requests, so it also ends the log
"""

import logging
from dataclasses import dataclass
from typing import Any

from seqline.endpoints.vertex_hosting import LOGGED, Hosting, require_as_made
from seqline.endpoints.vertex_resource import Resource
from seqline.vertex_api.operations import Operations

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """The settings of one endpoint.

    Attributes:
        resource: The endpoint.
        hosting: What is wanted.
        operations: How long operations are followed.
    """

    resource: Resource
    hosting: Hosting
    operations: Operations

    @property
    def project(self) -> str:
        """The endpoint's project."""
        return self.resource.parent.split("/")[1]

    def apply(self) -> None:
        """Creates the endpoint if there is none of its name; gives an existing one what can be changed."""
        resource = self.resource
        found = self.operations.finish(
            "create the endpoint", resource.find, self._create, "CreateEndpoint", [resource.name]
        )
        require_as_made(found, self.hosting, resource.name)
        if self.hosting.labels:
            resource.consistently("label the endpoint", self._label)
        if self.hosting.access.logged:
            resource.consistently("log requests to BigQuery", self._start_log)
        else:
            resource.consistently("stop the log of requests", self._end_log)
        if self.hosting.access.timeout:
            self._limit()

    def _create(self) -> Any:
        from google.cloud.aiplatform_v1 import Endpoint

        log.info("creating the endpoint %s", self.resource.name)
        endpoint = Endpoint(
            display_name=self.resource.id,
            labels={**self.hosting.labels, **({LOGGED: "true"} if self.hosting.access.logged else {})},
            **self.hosting.access.fields(self.project),
            **self.hosting.encryption(),
        )
        request = {"parent": self.resource.parent, "endpoint": endpoint, "endpoint_id": self.resource.id}
        return self.resource.client.create_endpoint(request=request)

    def _label(self) -> None:
        """Adds the labels that an existing endpoint lacks."""
        endpoint = self.resource.find()
        labels = {**endpoint.labels, **self.hosting.labels}
        if labels != dict(endpoint.labels):
            self.resource.update(endpoint, labels=labels)

    def _start_log(self) -> None:
        """Makes an existing endpoint log its requests; a table that nobody names stays the one it has."""
        endpoint = self.resource.find()
        known, access = endpoint.predict_request_response_logging_config, self.hosting.access
        table = known.bigquery_destination.output_uri
        same = table == access.log_table if access.log_table else bool(table)
        changed: dict[str, Any] = {}
        if not (known.enabled and same and abs(known.sampling_rate - access.logged) < 1e-9):
            wanted = access.logging(self.project)
            if same:
                wanted["bigquery_destination"] = {"output_uri": table}
            changed["predict_request_response_logging_config"] = wanted
        if LOGGED not in endpoint.labels:
            changed["labels"] = {**endpoint.labels, LOGGED: "true"}
        if changed:
            self.resource.update(endpoint, **changed)

    def _end_log(self) -> None:
        """Ends the log that Seqline has started; another one stays."""
        endpoint = self.resource.find()
        known = endpoint.predict_request_response_logging_config
        if LOGGED not in endpoint.labels:
            if known.enabled:
                log.info(
                    "%s logs its requests to %s, and Seqline does not stop this log, which it did not start; to stop "
                    "it, deploy once with serving.log_requests, then without",
                    endpoint.name,
                    known.bigquery_destination.output_uri,
                )
            return
        log.info("stopping the log of requests to %s; its table remains", known.bigquery_destination.output_uri)
        labels = {name: value for name, value in endpoint.labels.items() if name != LOGGED}
        self.resource.update(endpoint, predict_request_response_logging_config={}, labels=labels)

    def _limit(self) -> None:
        """Sets the time limit of an existing endpoint's requests; no other update changes it."""
        from google.cloud.aiplatform_v1 import Endpoint

        seconds = self.hosting.access.timeout

        def look() -> bool | None:
            limit = self.resource.find().client_connection_config.inference_timeout
            return True if limit and limit.total_seconds() == seconds else None

        def start() -> Any:
            endpoint = self.resource.find()
            changed = Endpoint(
                name=endpoint.name,
                display_name=endpoint.display_name,
                etag=endpoint.etag,
                client_connection_config={"inference_timeout": {"seconds": seconds}},
            )
            return self.resource.client.update_endpoint_long_running(request={"endpoint": changed})

        self.operations.finish("set the time limit of requests", look, start, "UpdateEndpoint", self.resource.parents())
