"""Decoding parameters of a request: their defaults, and the limits of the model and the server.

An exported model takes them with its signature `parameters`, and for streaming with `stream_start` and `stream_next`;
its signatures.md describes them.
"""

from typing import Any

from seqline.serving.answers import Parameters
from seqline.serving.limits import Limits
from seqline.serving.request_errors import Cause, RequestError

# Values that neither the request nor model.json sets.
DEFAULTS: dict[str, float | int | bool] = {
    "beam_size": 1,
    "n_best": 1,
    "min_output_length": 0,
    "max_output_length": 128,
    "length_penalty": 0.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "sampling": False,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "seed": 0,
}
OF_SAMPLING = ("temperature", "top_k", "top_p", "seed")
RENDERED = "rendered"
"""Whether texts are chats, rendered by the server; no request sets it."""
SIGNATURE, STREAMING = "parameters", ("stream_start", "stream_next")


def defaults(description: dict[str, Any]) -> dict[str, float | int | bool]:
    """The defaults of a request's parameters.

    Args:
        description: The content of model.json; empty if there is none.
    """
    values = description.get("decoding") or {}
    return {name: values.get(name, value) for name, value in DEFAULTS.items()}


def check(parameters: Parameters, metadata: dict[str, Any], limits: Limits, streaming: bool = False) -> None:
    """Checks a request's parameters against the model's and the server's limits.

    Args:
        parameters: The parameters that the request sets.
        metadata: The version's metadata; see `seqline.serving.metadata`.
        limits: The server's limits.
        streaming: Whether the answer is streamed.

    Raises:
        RequestError: If the model takes no parameters, or a value exceeds a limit; the message names the field.
    """
    signatures, requested = metadata["json"], dict(parameters)
    if streaming and not all(name in signatures for name in STREAMING):
        raise _invalid("stream", "this version's model has no signature stream_next; export it again")
    if not parameters:
        return
    if SIGNATURE not in signatures:
        raise _invalid("parameters", "this version's model has no signature parameters; export it again")
    unknown = sorted(requested.keys() - signatures[SIGNATURE]["inputs"].keys())
    if unknown:
        raise _invalid(f"parameters.{unknown[0]}", "unknown to this version's model; export it again")
    exported = defaults(metadata["description"])
    values = {**exported, **requested}
    for name, most in (("beam_size", limits.beam), ("n_best", limits.results)):
        if name in requested and requested[name] > most:
            raise _invalid(f"parameters.{name}", f"{requested[name]} is too high; the limit is {most}")
    longest = exported["max_output_length"]
    for name in ("max_output_length", "min_output_length"):
        if name in requested and requested[name] > longest:
            raise _invalid(f"parameters.{name}", f"{requested[name]} is above the model's limit of {longest}")
    if values["min_output_length"] > values["max_output_length"]:
        raise _invalid("parameters.min_output_length", "is above max_output_length")
    sampling = values["sampling"]
    unused = [name for name in OF_SAMPLING if name in requested and not sampling]
    if unused:
        raise _invalid(f"parameters.{unused[0]}", "has no effect without sampling; set sampling to true")
    if "beam_size" in requested and (sampling or streaming) and requested["beam_size"] > 1:
        raise _invalid("parameters.beam_size", f"{'sampling' if sampling else 'streaming'} has no beam; omit it")
    if values["n_best"] > 1 and streaming:
        raise _invalid("parameters.n_best", "streaming has one result; omit it")
    if values["n_best"] > values["beam_size"] and not sampling:
        raise _invalid("parameters.n_best", f"{values['n_best']} is above beam_size, {values['beam_size']}")


def _invalid(field: str, message: str) -> RequestError:
    return RequestError(Cause.INVALID, f"{field}: {message}")
