"""The gRPC interface: TensorFlow Serving's PredictionService and ModelService."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from components.errors import UserError
from components.serve import grpc_messages as messages
from components.serve.service import Cause, RefusalError, Service
from components.serve.versions import Loaded

SIGNATURE_DEF = "signature_def"


async def start_grpc(service: Service, host: str, port: int) -> "grpc.aio.Server":
    """Starts the gRPC services beside the HTTP interface, on the same loop.

    Args:
        service: What answers.
        host: Address to listen on.
        port: Port to listen on.

    Raises:
        UserError: If the port is taken.
    """
    limit = service.limits.body_bytes
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ]
    )
    handlers = Handlers(service)
    server.add_generic_rpc_handlers(
        (
            _handler(
                "tensorflow.serving.PredictionService",
                Predict=(handlers.predict, messages.PredictRequest),
                GetModelMetadata=(handlers.metadata, messages.GetModelMetadataRequest),
            ),
            _handler(
                "tensorflow.serving.ModelService",
                GetModelStatus=(handlers.status, messages.GetModelStatusRequest),
            ),
        )
    )
    try:
        server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        raise UserError(f"cannot listen on {host}:{port} for gRPC; choose another port") from None
    await server.start()
    return server


class Handlers:
    """One method for each call.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self.service = service

    async def predict(self, request: Any) -> Any:
        """Answers the tensor `text`; the signature's other inputs are as for HTTP."""
        version, label = self._which(request.model_spec)
        if request.model_spec.signature_name not in ("", "serving_default"):
            raise RefusalError(
                Cause.INVALID, f"there is no signature {request.model_spec.signature_name!r}; ask for serving_default"
            )
        tensors = {entry.key: entry.value for entry in request.inputs}
        if set(tensors) != {"text"}:
            raise RefusalError(Cause.INVALID, f"inputs are {sorted(tensors)}; the signature takes ['text']")
        texts = _texts(tensors["text"])
        answered = await self.service.answer(texts, (), version, label, "grpc")
        response = messages.PredictResponse()
        self._spec(response.model_spec, answered.version, "serving_default")
        wanted = set(request.output_filter) or {"text", "score"}
        if not wanted <= {"text", "score"}:
            raise RefusalError(Cause.INVALID, f"output_filter has {sorted(wanted)}; there are ['score', 'text']")
        if "text" in wanted:
            tensor = response.outputs.add(key="text").value
            tensor.dtype = messages.DT_STRING
            tensor.tensor_shape.dim.add(size=len(texts))
            tensor.string_val.extend(answer.text.encode() for answer in answered.answers)
        if "score" in wanted:
            tensor = response.outputs.add(key="score").value
            tensor.dtype = messages.DT_FLOAT
            tensor.tensor_shape.dim.add(size=len(texts))
            tensor.float_val.extend(
                float("nan") if answer.score is None else answer.score for answer in answered.answers
            )
        return response

    async def metadata(self, request: Any) -> Any:
        """Tells a version's signatures."""
        if list(request.metadata_field) != [SIGNATURE_DEF]:
            raise RefusalError(
                Cause.INVALID, f"metadata_field is {list(request.metadata_field)}; ask for signature_def"
            )
        loaded = self.service.choose(*self._which(request.model_spec))
        known = messages.SignatureDefMap()
        for name, serialized in loaded.batcher.engine.metadata["proto"].items():
            known.signature_def.add(key=name, value=base64.b64decode(serialized))
        response = messages.GetModelMetadataResponse()
        self._spec(response.model_spec, loaded.version)
        entry = response.metadata.add(key=SIGNATURE_DEF)
        entry.value.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        entry.value.value = known.SerializeToString()
        return response

    async def status(self, request: Any) -> Any:
        """Tells the state of one version, or of all."""
        version, label = self._which(request.model_spec)
        every = version is None and label is None
        found: list[Loaded] = self.service.versions.loaded if every else [self.service.choose(version, label)]
        response = messages.GetModelStatusResponse()
        for loaded in found:
            response.model_version_status.add(version=loaded.version, state=messages.AVAILABLE)
        for number, why in sorted(self.service.versions.failures.items()):
            if every:
                failed = response.model_version_status.add(version=number, state=messages.END)
                failed.status.error_code, failed.status.error_message = messages.UNKNOWN, why
        return response

    def _which(self, spec: Any) -> tuple[int | None, str | None]:
        self.service.known(spec.name)
        version = spec.version.value if spec.HasField("version") else None
        return version, spec.version_label or None

    def _spec(self, spec: Any, version: int, signature: str = "") -> None:
        spec.name, spec.version.value, spec.signature_name = self.service.name, version, signature


def _texts(tensor: Any) -> list[str]:
    if tensor.dtype != messages.DT_STRING or len(tensor.tensor_shape.dim) != 1:
        raise RefusalError(Cause.INVALID, "text must be a tensor of strings with one dimension")
    size = tensor.tensor_shape.dim[0].size
    values = list(tensor.string_val)
    if len(values) == 1 and 1 < size <= 2**20:
        values *= size  # a tensor of equal values may be sent as one
    if len(values) != size:
        raise RefusalError(Cause.INVALID, f"text has {len(values)} strings, and the shape [{size}]")
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise RefusalError(Cause.INVALID, "text is not UTF-8") from None


def _handler(name: str, **methods: tuple[Callable[[Any], Awaitable[Any]], Any]) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        name,
        {
            method: grpc.unary_unary_rpc_method_handler(_refusing(behaviour), _reader(request))
            for method, (behaviour, request) in methods.items()
        },
    )


def _reader(message: Any) -> Callable[[bytes], Any]:
    """Reads a message; one that cannot be read is refused by the caller."""

    def read(content: bytes) -> Any:
        try:
            return message.FromString(content)
        except Exception as error:
            return RefusalError(Cause.INVALID, f"the message cannot be read: {error}")

    return read


def _refusing(behaviour: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[bytes]]:
    async def call(request: Any, context: Any) -> bytes:
        try:
            if isinstance(request, RefusalError):
                raise request
            answer = await behaviour(request)
        except RefusalError as refusal:
            if refusal.retry_after:
                context.set_trailing_metadata((("retry-after", str(refusal.retry_after)),))
            await context.abort(grpc.StatusCode[refusal.cause.value[1]], str(refusal))
        return bytes(answer.SerializeToString())

    return call
