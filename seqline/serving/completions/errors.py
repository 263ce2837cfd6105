"""Errors in the form that OpenAI's clients read."""

import re
from typing import Any

from seqline.serving.request_errors import Cause, RequestError

KINDS = {
    Cause.UNKNOWN: ("invalid_request_error", "model_not_found"),
    Cause.BUSY: ("rate_limit_error", "rate_limit_exceeded"),
    Cause.FAILED: ("server_error", None),
    Cause.NOT_READY: ("server_error", None),
    Cause.TOO_SLOW: ("server_error", "timeout"),
}
# Our names of decoding parameters, as requests of this interface have them.
NAMES = {
    "n_best": "n",
    "max_output_length": "max_tokens",
    "min_output_length": "min_tokens",
}
FIELD = re.compile(r"[a-z_0-9.]{1,160}")


def error_body(error: RequestError) -> dict[str, Any]:
    """The body of an error.

    Args:
        error: The error; a message that begins with a field's name gives the `param`.
    """
    kind, code = KINDS.get(error.cause, ("invalid_request_error", None))
    message = str(error)
    name, colon, rest = message.partition(": ")
    param = None
    if colon and FIELD.fullmatch(name) and name != "body":
        own = name.removeprefix("parameters.")
        param = NAMES.get(own, own)
        message = f"{param}: {rest}"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
