"""Decoding parameters of a request: what they are where they are left out, and what a model and a server allow.

An exported model takes them by its signature `parameters`, and for answers piece by piece by `stream_start` and
`stream_next`; its signatures.md says what each does.
"""

from typing import Any

from seqline.serving.answers import Parameters
from seqline.serving.limits import Limits
from seqline.serving.request_errors import Cause, RequestError

# What holds where neither the request nor model.json says otherwise.
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
SIGNATURE, STREAMING = "parameters", ("stream_start", "stream_next")


def defaults(description: dict[str, Any]) -> dict[str, float | int | bool]:
    """The parameters that a request does not set.

    Args:
        description: What model.json says; empty where there is none.
    """
    exported = description.get("decoding", {})
    return {name: exported.get(name, value) for name, value in DEFAULTS.items()}


def check(given: Parameters, metadata: dict[str, Any], limits: Limits, streaming: bool = False) -> None:
    """Holds a request's parameters against its model and the limits.

    Args:
        given: What the request sets.
        metadata: The version's; see `seqline.serving.metadata`.
        limits: The server's.
        streaming: Whether the answer is to come piece by piece.

    Raises:
        RequestError: If the model takes none, or a value goes beyond what is allowed; the message names the field.
    """
    signatures, wanted = metadata["json"], dict(given)
    if streaming and not all(name in signatures for name in STREAMING):
        raise _refusal("stream", "this version cannot stream: it has no signature stream_next; export the model again")
    if not given:
        return
    if SIGNATURE not in signatures:
        raise _refusal("parameters", "this version takes none: it has no signature parameters; export the model again")
    unknown = sorted(wanted.keys() - signatures[SIGNATURE]["inputs"].keys())
    if unknown:
        raise _refusal(f"parameters.{unknown[0]}", "this version does not know it; export the model again")
    usual = defaults(metadata["description"])
    values = {**usual, **wanted}
    for name, most in (("beam_size", limits.beam), ("n_best", limits.results)):
        if name in wanted and wanted[name] > most:
            raise _refusal(f"parameters.{name}", f"{wanted[name]} is too many; at most {most}")
    longest = usual["max_output_length"]
    for name in ("max_output_length", "min_output_length"):
        if name in wanted and wanted[name] > longest:
            raise _refusal(f"parameters.{name}", f"{wanted[name]} is more than the {longest} that the model can write")
    if values["min_output_length"] > values["max_output_length"]:
        raise _refusal("parameters.min_output_length", "is more than max_output_length")
    sampling = values["sampling"]
    useless = [name for name in OF_SAMPLING if name in wanted and not sampling]
    if useless:
        raise _refusal(f"parameters.{useless[0]}", "has no effect without sampling; set sampling to true, too")
    if "beam_size" in wanted and (sampling or streaming) and wanted["beam_size"] > 1:
        raise _refusal("parameters.beam_size", f"{'sampling' if sampling else 'streaming'} has no beam; leave it out")
    if values["n_best"] > 1 and streaming:
        raise _refusal("parameters.n_best", "streaming has one result; leave it out")
    if values["n_best"] > values["beam_size"] and not sampling:
        raise _refusal("parameters.n_best", f"{values['n_best']} is more than beam_size, {values['beam_size']}")


def _refusal(place: str, message: str) -> RequestError:
    return RequestError(Cause.INVALID, f"{place}: {message}")
