"""How a server samples its requests: in endpoint.json of a local endpoint, and as flags on KServe."""

from collections.abc import Sequence
from dataclasses import dataclass

FOLDER = "samples"
"""Folder of the samples in that of a local endpoint."""

FOLDER_FLAG = "--sample-folder"


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
        flags = ["--sample-requests", str(self.share), FOLDER_FLAG, self.folder]
        flags += ["--sample-megabytes", str(self.megabytes)]
        flags += ["--sample-texts"] if self.texts else []
        return [*flags, *(["--redact", self.redact] if self.redact else [])]


def folder_in(flags: Sequence[str]) -> str:
    """Returns the folder in a server's flags; empty if there is none.

    Args:
        flags: The flags.
    """
    at = flags.index(FOLDER_FLAG) + 1 if FOLDER_FLAG in flags else len(flags)
    return flags[at] if at < len(flags) else ""
