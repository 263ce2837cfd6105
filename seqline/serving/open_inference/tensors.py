"""The tensors of the protocol: what a model takes and returns, by REST and gRPC alike."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from seqline.names import nearest
from seqline.serving.answers import Parameters
from seqline.serving.contract import DecodingParameters, read_parameters
from seqline.serving.json_reader import NUMBER, invalid
from seqline.serving.limits import Limits
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.service import Answered, Service

# specification/protocol/inference_rest.md, "Tensor Data Types" and "Platforms".
INPUT, PLATFORM = "text", "tensorflow_savedmodel"
OUTPUTS = {"text": "BYTES", "score": "FP32", "cut": "BOOL"}
LITERALS = {"true": True, "false": False}
LARGEST_VERSION = 2**31 - 1
# Of the extension for binary tensor data, which REST does not have here.
BINARY = "binary tensor data is not supported over REST; send the texts in data, or use gRPC"


@dataclass(frozen=True)
class Inference:
    """An inference request.

    Attributes:
        texts: The texts.
        parameters: The decoding parameters that it sets.
        identity: Its id, which the response repeats; empty for none.
        outputs: Names of the outputs to return, in order.
        model: The model's name in the body; empty for none.
    """

    texts: list[str]
    parameters: Parameters = ()
    identity: str = ""
    outputs: tuple[str, ...] = tuple(OUTPUTS)
    model: str = ""


@dataclass(frozen=True)
class Tensor:
    """An output.

    Attributes:
        name: Its name.
        datatype: Its type.
        shape: Its shape.
        data: Its elements in row-major order; a score that is not finite is None.
    """

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


def outputs_of(inference: Inference, answered: Answered) -> list[Tensor]:
    """Returns the outputs of a request.

    Args:
        inference: The request.
        answered: Its answers.
    """
    rows = [[(answer.text, answer.score), *answer.alternatives] for answer in answered.answers]
    results = dict(inference.parameters).get("n_best", 1)
    # One result of each text is a vector; several are a table.
    shape = [len(rows)] if results == 1 else [len(rows), int(results)]
    found = {
        "text": Tensor("text", OUTPUTS["text"], shape, [text for row in rows for text, _ in row]),
        "score": Tensor("score", OUTPUTS["score"], shape, [score for row in rows for _, score in row]),
        "cut": Tensor("cut", OUTPUTS["cut"], [len(rows)], [answer.cut for answer in answered.answers]),
    }
    return [found[name] for name in inference.outputs]


def require_texts(shape: Sequence[int], count: int, path: str) -> None:
    """Checks the shape of the texts.

    Args:
        shape: The shape that the request names.
        count: The number of texts that it holds.
        path: The input's path, for messages.

    Raises:
        RequestError: If it is no vector, or a column, of that length.
    """
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise invalid(f"{path}.shape", f"must be [n] or [n, 1], not {_shown(shape)}")
    if shape[0] != count:
        raise invalid(f"{path}.shape", f"is {_shown(shape)}, but the data have {count} texts")


def require_input(name: str, datatype: str, path: str) -> None:
    """Checks the name and the type of the input.

    Args:
        name: The name.
        datatype: The type.
        path: The input's path, for messages.

    Raises:
        RequestError: If it is another one.
    """
    if name != INPUT:
        raise invalid(f"{path}.name", f"must be {INPUT!r}, the model's only input")
    if datatype != "BYTES":
        raise invalid(f"{path}.datatype", "must be BYTES: the input is text in UTF-8")


def require_outputs(names: Sequence[str], path: str) -> tuple[str, ...]:
    """Returns the outputs to return: those that a request names, or all.

    Args:
        names: The names.
        path: Their path, for messages.

    Raises:
        RequestError: If there is no such output.
    """
    for index, name in enumerate(names):
        if name not in OUTPUTS:
            raise invalid(f"{path}.{index}.name", f"must be one of {', '.join(OUTPUTS)}")
    return tuple(dict.fromkeys(names)) or tuple(OUTPUTS)


def parameters_of(values: dict[str, Any]) -> Parameters:
    """Returns the decoding parameters of a request.

    Args:
        values: Values by name. One may be a string: KServe's client has no floats over gRPC.

    Raises:
        RequestError: If one is unknown or has a wrong value; the message names it.
    """
    if values.pop("binary_data_output", False):
        raise invalid("parameters.binary_data_output", BINARY)
    known = DecodingParameters.model_fields
    for name in values:
        if name not in known:
            raise invalid(f"parameters.{name[:64]}", f"is unknown; {nearest(name[:64], known)}")
    return read_parameters({name: _value(name, value) for name, value in values.items()}, "parameters.")


def version_of(given: str) -> tuple[int | None, str | None]:
    """Returns the number, or the alias, that a request names its version by.

    Args:
        given: A number, an alias such as champion, or empty for the traffic split.
    """
    if re.fullmatch(r"[0-9]{1,10}", given):
        if not 0 < int(given) <= LARGEST_VERSION:
            raise RequestError(Cause.UNKNOWN, f"there is no version {given}")
        return int(given), None
    return None, given or None


def description_of(service: Service, name: str, version: str = "") -> dict[str, Any]:
    """Returns a model's metadata.

    Args:
        service: The server.
        name: The model's name.
        version: Its version, as a request names it.

    Raises:
        RequestError: If there is no such model or version.
    """
    service.check_name(name)
    service.choose(*version_of(version))
    return {
        "name": service.name,
        "versions": [str(loaded.version) for loaded in service.versions.loaded],
        "platform": PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": output, "datatype": kind, "shape": [-1]} for output, kind in OUTPUTS.items()],
    }


def check_text(text: str, index: int, total: int, limits: Limits) -> int:
    """Checks a text against the limits, and returns the number of characters so far.

    Args:
        text: The text.
        index: Its position.
        total: The characters before it.
        limits: The server's limits.

    Raises:
        RequestError: If it exceeds them.
    """
    limits.check_length(index, len(text))
    limits.check_total(total + len(text))
    return total + len(text)


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lower() in LITERALS:
        return LITERALS[value.lower()]
    if len(value) <= 64 and NUMBER.fullmatch(value.encode("utf-8", "replace")):
        return float(value) if set(value) & set(".eE") else int(value)
    raise invalid(f"parameters.{name}", "Input should be a number or a boolean")


def _shown(shape: Collection[int]) -> str:
    return str(list(shape)[:8])
