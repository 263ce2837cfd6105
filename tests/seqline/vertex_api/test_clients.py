"""How the stages speak to the Vertex API is in its address."""

from types import SimpleNamespace
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from seqline.vertex_api.clients import connect


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
