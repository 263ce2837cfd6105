"""The flags --verbose and --quiet, which may stand anywhere on the command line."""

import logging
import os
from dataclasses import dataclass

# As click reads a variable of a flag.
TRUE = {"1", "true", "t", "yes", "y", "on"}
FLAGS = {"-v": "verbose", "--verbose": "verbose", "-q": "quiet", "--quiet": "quiet"}


@dataclass
class Verbosity:
    """How much a command shows.

    Attributes:
        verbose: Also stack traces and debug messages.
        quiet: No progress.
    """

    verbose: bool = False
    quiet: bool = False


verbosity = Verbosity()
"""Of this process."""


def without_flags(arguments: list[str]) -> tuple[Verbosity, list[str]]:
    """Takes the flags from a command line.

    Args:
        arguments: The arguments; those after `--` are no flags.

    Returns:
        What the flags say, and the other arguments.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    found = {FLAGS[one] for one in arguments[:end] if one in FLAGS}
    found |= {name for name in FLAGS.values() if os.environ.get(f"SEQLINE_{name.upper()}", "").lower() in TRUE}
    rest = [one for one in arguments[:end] if one not in FLAGS]
    return Verbosity("verbose" in found, "quiet" in found), [*rest, *arguments[end:]]


def set_verbosity(wanted: Verbosity) -> None:
    """Sets the verbosity of this process.

    Args:
        wanted: From `without_flags`.
    """
    verbosity.verbose, verbosity.quiet = wanted.verbose, wanted.quiet
    # It shows that a service does not respond yet.
    logging.getLogger("seqline").setLevel(logging.ERROR if wanted.quiet else logging.NOTSET)
    if wanted.verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
        logging.getLogger("seqline").setLevel(logging.DEBUG)
