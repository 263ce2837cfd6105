"""The one kind of error that the user can fix."""


class UserError(Exception):
    """Bad input: the message says what is wrong, where, and what to do.

    Anything else that is raised is a defect of Seqline and keeps its stack trace.
    """
