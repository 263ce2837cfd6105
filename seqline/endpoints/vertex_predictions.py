"""Requests to an endpoint on Vertex, under its own address.

dedicated  https://DNS, for predict and streams; the region's domain refuses it
private    https://ADDRESS of the forwarding rule in a network; its certificate is self-signed
shared     the region's domain, for predict only
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from seqline.endpoints.back_end import NONE, RefusedError
from seqline.endpoints.events import deltas
from seqline.endpoints.vertex_hosting import Access, kind_of
from seqline.errors import UnreachableError, UserError
from seqline.vertex_api.clients import connect
from seqline.vertex_api.errors import transient_errors
from seqline.vertex_api.sessions import authorized_session

log = logging.getLogger(__name__)

# Time limits of requests: docs.cloud.google.com/vertex-ai/docs/predictions/choose-endpoint-type. Those of dedicated and
# private endpoints are the service's own, unless the endpoint sets one.
SECONDS = {"dedicated": 600.0, "private": 600.0, "shared": 60.0}
# For the way there and back.
MARGIN = 10.0
CONNECT_SECONDS = 10.0
# Statuses of a request that fails because of what it holds; it fails again.
REFUSALS = (400, 413, 500)


@dataclass(frozen=True)
class Answer:
    """The answer to one request.

    Attributes:
        predictions: `{"text", "score"}` for each text.
        version: Number of the version that answered.
    """

    predictions: list[dict[str, Any]]
    version: str


@dataclass
class Predictions:
    """Sends requests to endpoints.

    Attributes:
        location: The region.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        access: How clients reach the endpoint.
    """

    location: str
    api_endpoint: str
    access: Access

    @cached_property
    def client(self) -> Any:
        """The client of shared endpoints."""
        from google.cloud.aiplatform_v1 import PredictionServiceClient

        return connect(PredictionServiceClient, self.location, self.api_endpoint)

    def address(self, endpoint: Any, method: str = "predict") -> str:
        """Returns the address of a method.

        Args:
            endpoint: As Vertex describes it.
            method: The method.

        Raises:
            UserError: If it has no address yet.
        """
        kind = kind_of(endpoint)
        if kind == "shared":
            host = f"{self.location}-aiplatform.googleapis.com"
        elif kind == "dedicated":
            # The reference describes it with a scheme, Google's own client takes it for one without.
            host = endpoint.dedicated_endpoint_dns.removeprefix("https://")
            if not host:
                raise UserError(f"{endpoint.name}: Vertex has not created its DNS name yet; try again in a few minutes")
        else:
            host = self.access.address or _private_address(endpoint)
        # An emulator has no certificates.
        scheme = "http" if kind != "shared" and self.api_endpoint.startswith("http://") else "https"
        return f"{scheme}://{host}/v1/{endpoint.name}:{method}"

    def awaits_address(self, endpoint: Any) -> bool:
        """Whether Vertex is still creating the endpoint's address.

        Args:
            endpoint: As Vertex describes it.
        """
        if kind_of(endpoint) == "dedicated":
            return not endpoint.dedicated_endpoint_dns
        configs = endpoint.private_service_connect_config.psc_automation_configs
        made = any(one.ip_address or one.error_message for one in configs)
        return bool(configs) and not made and not self.access.address

    def reach(self, endpoint: Any, text: str, pauses: Sequence[float], sleep: Callable[[float], None]) -> None:
        """Sends a request until there is an answer: a new DNS name or address takes a while to be known everywhere.

        Args:
            endpoint: As Vertex describes it.
            text: The text.
            pauses: Seconds before each further attempt.
            sleep: Waits some seconds.

        Raises:
            RefusedError: If the endpoint refuses the text.
            UserError: If it does not respond.
        """
        with _explained(endpoint):
            for pause in pauses:
                try:
                    self._predict(endpoint, [text], NONE)
                    return
                except transient_errors() as error:  # noqa: PERF203 (a call over the network is slower)
                    log.info("%s does not respond yet (%s); retrying in %g s", endpoint.name, error, pause)
                    sleep(pause)
            self._predict(endpoint, [text], NONE)

    def predict(self, endpoint: Any, texts: list[str], parameters: Mapping[str, Any] = NONE) -> Answer:
        """Sends texts in one request.

        Args:
            endpoint: As Vertex describes it.
            texts: The texts.
            parameters: Decoding parameters.

        Raises:
            RefusedError: If the endpoint refuses the texts or the parameters.
            UserError: If it does not respond.
        """
        with _explained(endpoint):
            return self._predict(endpoint, texts, parameters)

    def stream(self, endpoint: Any, text: str, parameters: Mapping[str, Any] = NONE) -> Iterator[str]:
        """Yields the pieces of one text's answer, as they arrive.

        Args:
            endpoint: As Vertex describes it.
            text: The text.
            parameters: Decoding parameters.

        Raises:
            RefusedError: If the endpoint refuses the text or the parameters.
            UserError: If it does not respond, or is shared.
        """
        if kind_of(endpoint) == "shared":
            raise UserError(
                f"{endpoint.name} is a shared endpoint, which does not support streaming; a dedicated or a private one "
                "does (serving.endpoint_type)"
            )
        body = {"instances": [text], "stream": True, **({"parameters": dict(parameters)} if parameters else {})}
        with _explained(endpoint), self._post(endpoint, "streamRawPredict", body) as reply:
            yield from deltas(reply.iter_lines())

    def _predict(self, endpoint: Any, texts: list[str], parameters: Mapping[str, Any]) -> Answer:
        if kind_of(endpoint) == "shared":
            response = self.client.predict(
                endpoint=endpoint.name, instances=texts, parameters=dict(parameters), timeout=_seconds(endpoint)
            )
            return Answer([_plain(one) for one in response.predictions], response.model_version_id)
        body = {"instances": texts, **({"parameters": dict(parameters)} if parameters else {})}
        with self._post(endpoint, "predict", body) as reply:
            found = reply.json()
            return Answer(list(found["predictions"]), str(found.get("modelVersionId", "")))

    def _post(self, endpoint: Any, method: str, body: Mapping[str, Any]) -> Any:
        """Sends a request; its response is read as it arrives."""
        from google.api_core.exceptions import from_http_response

        address = self.address(endpoint, method)
        private = kind_of(endpoint) == "private"
        with warnings.catch_warnings():
            if private:
                warnings.filterwarnings("ignore", "Unverified HTTPS request")
            reply = self.session.post(
                address,
                data=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
                timeout=(CONNECT_SECONDS, _seconds(endpoint)),
                stream=True,
                # Google's own client does not verify it either: there is no authority for a private address.
                verify=not private,
            )
        if reply.status_code >= 400:
            raise from_http_response(reply)
        return reply

    @cached_property
    def session(self) -> Any:
        """The session of dedicated and private endpoints."""
        return authorized_session(anonymous=self.api_endpoint.startswith("http://"))


def _private_address(endpoint: Any) -> str:
    """The address that Vertex created in the network of a private endpoint."""
    config = endpoint.private_service_connect_config
    made = [one for one in config.psc_automation_configs if one.ip_address]
    if made:
        return str(made[0].ip_address)
    failed = [one.error_message for one in config.psc_automation_configs if one.error_message]
    if failed:
        raise UserError(f"{endpoint.name}: Vertex created no address for it: {failed[0]}")
    if config.psc_automation_configs:
        raise UserError(f"{endpoint.name}: Vertex has not created its address yet; try again in a few minutes")
    attachments = [one.private_endpoints.service_attachment for one in endpoint.deployed_models]
    attachment = next(filter(None, [config.service_attachment, *attachments]), "its service attachment")
    raise UserError(
        f"{endpoint.name} is private and has no address: create a forwarding rule to {attachment} in your network and "
        "give its address (serving.private_address, --address)"
    )


def _seconds(endpoint: Any) -> float:
    """The time limit of a request to an endpoint."""
    own = endpoint.client_connection_config.inference_timeout
    return (own.total_seconds() if own else SECONDS[kind_of(endpoint)]) + MARGIN


@contextlib.contextmanager
def _explained(endpoint: Any) -> Iterator[None]:
    """Turns the errors of an endpoint's clients into messages for users."""
    import requests
    from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except GoogleAPICallError as error:
        if error.code in REFUSALS:
            raise RefusedError(str(error.message)) from error
        raise UnreachableError(f"{endpoint.name} does not respond: {error}") from error
    except (GoogleAPIError, GoogleAuthError, requests.RequestException, *transient_errors()) as error:
        hint = "; only machines in its network reach it" if kind_of(endpoint) == "private" else ""
        raise UnreachableError(f"{endpoint.name} does not respond: {error}{hint}") from error


def _plain(value: Any) -> dict[str, Any]:
    """A prediction of the client library as a dictionary."""
    return {str(name): value[name] for name in value}
