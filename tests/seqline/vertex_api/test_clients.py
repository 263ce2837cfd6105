"""How the stages speak to the Vertex API is in its address."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.aiplatform_v1 import EndpointServiceClient

from seqline.errors import UnreachableError
from seqline.vertex_api.clients import CALL_SECONDS, connect


@pytest.mark.parametrize(
    ("address", "host", "transport"),
    [
        ("", "us-central1-aiplatform.googleapis.com", None),
        ("psc.example.org", "psc.example.org", None),
        ("https://psc.example.org", "https://psc.example.org", "rest"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9", "rest"),
    ],
)
def test_a_scheme_means_rest_and_http_no_credentials(address: str, host: str, transport: str | None) -> None:
    def client(**given: Any) -> SimpleNamespace:
        return SimpleNamespace(**given)

    made = connect(client, "us-central1", address)
    assert made.client_options == {"api_endpoint": host}
    assert getattr(made, "transport", None) == transport
    assert isinstance(getattr(made, "credentials", None), AnonymousCredentials) == address.startswith("http:")


def test_every_call_has_a_time_limit() -> None:
    limits: list[float | None] = []

    class Client:
        def __init__(self, **given: Any) -> None: ...

        def get_model(self, name: str, *, timeout: float | None = None) -> str:
            limits.append(timeout)
            return name

    made = connect(Client, "us-central1")
    assert made.get_model(name="a") == "a"
    assert made.get_model("a", timeout=120) == "a"
    assert limits == [CALL_SECONDS, 120]


def test_the_limit_reaches_the_generated_clients() -> None:
    """A server that accepts the connection and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        made = connect(EndpointServiceClient, "us-central1", f"http://127.0.0.1:{silent.getsockname()[1]}")
        for call in (made.get_endpoint, made.list_operations):
            with pytest.raises(requests.Timeout):
                call(request={"name": "projects/p/locations/l/endpoints/e"}, timeout=0.01)


def test_without_credentials_the_message_says_how_to_create_them() -> None:
    def client(**given: Any) -> None:
        raise DefaultCredentialsError("Your default credentials were not found.")

    with pytest.raises(UnreachableError, match="no Google Cloud credentials; `gcloud auth application-default login`"):
        connect(client, "us-central1")
