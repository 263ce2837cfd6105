"""How long a command waits for a service that has not answered it at all: a person waits, and a typing error is likely.

A stage waits longer, because its pod may start before its network does.
"""

import re
from dataclasses import dataclass

# With the pause between them, less than 3 s.
COMMAND_SECONDS, COMMAND_ATTEMPTS = 1.2, 2


@dataclass
class FirstContact:
    """What this process knows about its services.

    Attributes:
        seconds: The time limit to connect before a first answer; 0 to wait and to try again as later.
        answered: Whether a service has answered.
    """

    seconds: float = 0.0
    answered: bool = False

    def gives_up(self, error: Exception, attempts: int) -> bool:
        """Whether a call is not tried again after an error that may go away.

        Args:
            error: The error.
            attempts: How often the call was tried.
        """
        if not is_silence(error):
            self.answered = True
        return bool(self.seconds) and not self.answered and attempts >= COMMAND_ATTEMPTS

    def connect_seconds(self, later: float) -> float:
        """The time limit to connect.

        Args:
            later: The limit after the first contact.
        """
        return min(self.seconds, later) if self.seconds and not self.answered else later


first_contact = FirstContact()
"""Of this process; `seqline.cli` sets the seconds."""


def is_silence(error: Exception) -> bool:
    """Whether an error says that a service has given no answer, not even one of refusal.

    Args:
        error: Of a client of HTTP or gRPC.
    """
    if getattr(error, "status", None) or getattr(error, "response", None) is not None:
        return False
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] == "urllib3":
        return True
    # gRPC, and Google's token server: "failed to connect to all addresses", "DNS resolution failed".
    return any(word in str(error).lower() for word in ("failed to connect", "dns", "name resolution", "max retries"))


def reason_of(error: BaseException) -> str:
    """Returns why there is no answer in a few words, such as `Connection refused`.

    Args:
        error: Of a client of HTTP; urllib3 and requests wrap the reason several times.
    """
    while isinstance(inner := getattr(error, "reason", None) or next(iter(error.args), None), BaseException):
        error = inner
    text = re.sub(r"^<?\w+\(.*?\)>?: ", "", str(error))
    return re.sub(r"^(?:Failed to establish a new connection: )?(?:\[Errno -?\d+\] )?", "", text)
