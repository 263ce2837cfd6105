"""Layout of the deployment artifact: *deploy* writes it.

deployment/
  deployment.json   the endpoint, the live version, its address and its smoke test
"""

from dataclasses import dataclass
from typing import ClassVar

from seqline.artifacts.record import Record, Schema

FILE = "deployment.json"


@dataclass(frozen=True)
class Smoke:
    """The smoke test that a version passed before it became live.

    Attributes:
        text: The first request's text.
        answer: Its answer.
        milliseconds: Median latency of all requests.
    """

    text: str
    answer: str
    milliseconds: float


@dataclass(frozen=True)
class Deployment(Record):
    """The result of deploy.

    Attributes:
        endpoint: The endpoint's folder or name on Vertex; empty if nothing was deployed.
        live: Whether the model is the endpoint's live version.
        version: Its version number.
        url: The address of the predict method.
        smoke: The smoke test.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="deploy the model again")

    endpoint: str
    live: bool
    version: int | None = None
    url: str = ""
    smoke: Smoke | None = None
