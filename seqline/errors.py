"""The kinds of errors that the user can fix."""

import re

LOGGED = re.compile(r"^seqline(?:\.\w+)+\.[A-Z]\w*Error: (.*)", re.MULTILINE | re.DOTALL)
"""The message of an error in the log of a stage; its class may be one of a module's own."""


class UserError(Exception):
    """Bad input: the message says what is wrong, where, and what to do.

    Anything else that is raised is a defect of Seqline and keeps its stack trace.
    """


class UnreachableError(UserError):
    """A service does not respond, or denies access. A command ends with exit code 4."""
