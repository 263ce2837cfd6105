"""What `seqline doctor` reports."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        subject: The subject of the check.
        state: `ok`; `warning` if some features will fail; `error` if the subject cannot be used.
        message: The result.
        advice: What to do; empty for nothing.
    """

    subject: str
    state: Literal["ok", "warning", "error"]
    message: str
    advice: str = ""
