"""The exit codes of `seqline`."""

from enum import IntEnum

from seqline.errors import UnreachableError, UserError


class ExitCode(IntEnum):
    """An exit code with its meaning, which docs/cli.md lists too."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "ExitCode":
        """Adds the meaning to the number."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made

    DONE = 0, "success"
    BAD_INPUT = 1, "bad input or a wrong configuration, or you declined a confirmation; no run was started"
    BAD_FLAG = 2, "a wrong flag or command"
    RUN_FAILED = 3, "a run was started, and failed or was cancelled"
    UNREACHABLE = 4, "a service does not respond, or denies access"
    INTERRUPTED = 130, "interrupted with Ctrl-C"


def exit_code(error: UserError) -> ExitCode:
    """Returns the exit code of an error.

    Args:
        error: The error that ended the command.
    """
    from seqline.targets.target import RunFailedError

    if isinstance(error, RunFailedError):
        return ExitCode.RUN_FAILED
    return ExitCode.UNREACHABLE if isinstance(error, UnreachableError) else ExitCode.BAD_INPUT
