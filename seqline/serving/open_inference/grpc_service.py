"""The protocol's gRPC service: specification/protocol/open_inference_grpc.proto."""

import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

from seqline.serving.json_reader import invalid
from seqline.serving.limits import Limits
from seqline.serving.open_inference.messages import CLASSES, ONE_OF
from seqline.serving.open_inference.requests import LONGEST_ID
from seqline.serving.open_inference.routes import server_metadata
from seqline.serving.open_inference.tensors import (
    Inference,
    Tensor,
    check_text,
    description_of,
    outputs_of,
    parameters_of,
    require_input,
    require_outputs,
    require_texts,
    version_of,
)
from seqline.serving.service import Service

SERVICE = "inference.GRPCInferenceService"
(CHOICE,) = ONE_OF.values()
# The length before each element of BYTES in raw contents.
LENGTH = struct.Struct("<I")


def inference_service(service: Service, handler: Callable[..., Any]) -> Any:
    """Returns the handler of the service's calls.

    Args:
        service: The server.
        handler: Makes a handler of a service's name, the limits, and a function and a message for each method.
    """
    methods = Handlers(service)
    return handler(
        SERVICE,
        service.limits,
        ServerLive=(methods.server_live, CLASSES["ServerLiveRequest"]),
        ServerReady=(methods.server_ready, CLASSES["ServerReadyRequest"]),
        ModelReady=(methods.model_ready, CLASSES["ModelReadyRequest"]),
        ServerMetadata=(methods.server_metadata, CLASSES["ServerMetadataRequest"]),
        ModelMetadata=(methods.model_metadata, CLASSES["ModelMetadataRequest"]),
        ModelInfer=(methods.model_infer, CLASSES["ModelInferRequest"]),
    )


class Handlers:
    """One method per RPC.

    Args:
        service: The server.
    """

    def __init__(self, service: Service) -> None:
        self.service = service

    async def server_live(self, request: Any) -> Any:
        """The server runs."""
        return CLASSES["ServerLiveResponse"](live=True)

    async def server_ready(self, request: Any) -> Any:
        """Whether every version with a traffic share answers."""
        return CLASSES["ServerReadyResponse"](ready=await self.service.versions.healthy())

    async def model_ready(self, request: Any) -> Any:
        """Whether a version is loaded."""
        self.service.check_name(request.name)
        return CLASSES["ModelReadyResponse"](
            ready=self.service.versions.choose(*version_of(request.version)) is not None
        )

    async def server_metadata(self, request: Any) -> Any:
        """The server's name and version."""
        return CLASSES["ServerMetadataResponse"](**server_metadata())

    async def model_metadata(self, request: Any) -> Any:
        """The inputs and outputs of a version."""
        return CLASSES["ModelMetadataResponse"](**description_of(self.service, request.name, request.version))

    async def model_infer(self, request: Any) -> Any:
        """Answers texts."""
        self.service.check_name(request.model_name)
        version, alias = version_of(request.model_version)
        raw = bool(request.raw_input_contents)
        inference = _inference(request, self.service.limits)
        answered = await self.service.answer(inference.texts, inference.parameters, version, alias, "grpc")
        response = CLASSES["ModelInferResponse"](
            model_name=self.service.name, model_version=str(answered.version), id=inference.identity
        )
        for output in outputs_of(inference, answered):
            tensor = response.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
            values = _values(output)
            # In the form of the request, as Triton and KServe's server do.
            if raw:
                response.raw_output_contents.append(_packed(output.datatype, values))
            else:
                field = {"BYTES": "bytes_contents", "FP32": "fp32_contents", "BOOL": "bool_contents"}[output.datatype]
                getattr(tensor.contents, field).extend(values)
        return response


def _inference(request: Any, limits: Limits) -> Inference:
    if len(request.inputs) != 1:
        raise invalid("inputs", f"has {len(request.inputs)} tensors; the model takes one, named text")
    if len(request.id) > LONGEST_ID:
        raise invalid("id", f"has more than {LONGEST_ID} characters")
    (given,) = request.inputs
    require_input(given.name, given.datatype, "inputs.0")
    texts = _texts(request, given, limits)
    require_texts(given.shape, len(texts), "inputs.0")
    values = {entry.key: _parameter(entry.value) for entry in request.parameters}
    # What binary_data_output asks for is the form that the response has anyway.
    values.pop("binary_data_output", None)
    outputs = require_outputs([output.name for output in request.outputs], "outputs")
    return Inference(texts, parameters_of(values), request.id, outputs)


def _texts(request: Any, given: Any, limits: Limits) -> list[str]:
    raw = request.raw_input_contents
    if not raw:
        limits.check_count(len(given.contents.bytes_contents))
        return list(_decoded(given.contents.bytes_contents, limits))
    if given.contents.ListFields():
        raise invalid("inputs.0.contents", "must be empty if there are raw_input_contents")
    if len(raw) != 1:
        raise invalid("raw_input_contents", f"has {len(raw)} elements, but there is one input")
    return list(_decoded(_unpacked(raw[0], limits), limits))


def _decoded(values: Any, limits: Limits) -> Iterator[str]:
    total = 0
    for index, value in enumerate(values):
        # A character has at most four bytes: the limit holds before anything is decoded.
        limits.check_length(index, len(value) // 4)
        try:
            text = bytes(value).decode()
        except UnicodeDecodeError:
            raise invalid(f"inputs.0: text {index}", "is not UTF-8") from None
        total = check_text(text, index, total, limits)
        yield text


def _unpacked(content: bytes, limits: Limits) -> Iterator[bytes]:
    """The elements of raw contents: each has its length before it, in four bytes, little-endian."""
    at = count = 0
    while at < len(content):
        count += 1
        limits.check_count(count)
        if at + LENGTH.size > len(content):
            raise invalid("raw_input_contents.0", f"ends within the length of text {count - 1}")
        (length,) = LENGTH.unpack_from(content, at)
        at += LENGTH.size
        if at + length > len(content):
            raise invalid("raw_input_contents.0", f"ends within text {count - 1}")
        yield content[at : at + length]
        at += length


def _parameter(parameter: Any) -> Any:
    name = parameter.WhichOneof(CHOICE)
    return getattr(parameter, name) if name else None


def _values(output: Tensor) -> list[Any]:
    if output.datatype == "BYTES":
        return [text.encode() for text in output.data]
    return [math.nan if value is None else value for value in output.data]


def _packed(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        return b"".join(LENGTH.pack(len(value)) + value for value in values)
    return struct.pack(f"<{len(values)}{'f' if datatype == 'FP32' else '?'}", *values)
