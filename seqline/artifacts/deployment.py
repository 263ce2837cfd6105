"""The deployment and its layout: `deployment.json` in the artifact's folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from seqline.atomic import atomic_write

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Smoke:
    """The requests that a version had to answer before it was live.

    Attributes:
        text: What was sent first.
        answer: What came back.
        milliseconds: How long an answer took, the median.
    """

    text: str
    answer: str
    milliseconds: float


@dataclass(frozen=True)
class Deployment:
    """What deploy came to.

    Attributes:
        endpoint: The endpoint's folder; empty when nothing was deployed.
        live: Whether the model is the endpoint's live version.
        version: Its version number.
        url: Where texts are sent.
        smoke: The smoke request.
    """

    endpoint: str
    live: bool
    version: int | None = None
    url: str = ""
    smoke: Smoke | None = None

    def write(self, folder: Path) -> None:
        """Writes the artifact.

        Args:
            folder: Its folder.
        """
        text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, indent=1, ensure_ascii=False)
        atomic_write(folder / "deployment.json", text)
