"""How a server samples its requests: in endpoint.json of a local endpoint, and as flags on KServe."""

from dataclasses import dataclass

FOLDER = "samples"
"""Folder of the samples in that of a local endpoint."""


@dataclass(frozen=True)
class Sampling:
    """What a server stores of its requests.

    Attributes:
        share: Share of the answers that are sampled; 0 for none.
        texts: Whether their texts are stored too.
        redact: The function, as module:function, that texts pass before they are stored; empty for none.
        folder: Folder or bucket address of the files; empty for FOLDER of a local endpoint.
        megabytes: Largest size of all files of a kind; beyond it the oldest are deleted.
    """

    share: float = 0.0
    texts: bool = False
    redact: str = ""
    folder: str = ""
    megabytes: int = 1000

    @property
    def flags(self) -> list[str]:
        """The server's flags; none if it samples nothing."""
        if not self.share:
            return []
        flags = ["--sample-requests", str(self.share), "--sample-folder", self.folder]
        flags += ["--sample-megabytes", str(self.megabytes)]
        flags += ["--sample-texts"] if self.texts else []
        return [*flags, *(["--redact", self.redact] if self.redact else [])]
