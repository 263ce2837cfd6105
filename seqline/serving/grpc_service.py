"""The gRPC interface: TensorFlow Serving's PredictionService and ModelService, and gRPC's health service."""

import base64
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from seqline.errors import UserError
from seqline.serving import grpc_messages as messages
from seqline.serving.contract import read_parameters
from seqline.serving.decoding import DEFAULTS
from seqline.serving.decoding import SIGNATURE as PARAMETERS
from seqline.serving.grpc_health import Health
from seqline.serving.grpc_wire import check_size
from seqline.serving.limits import Limits
from seqline.serving.open_inference.grpc_service import SERVICE as INFERENCE
from seqline.serving.open_inference.grpc_service import inference_service
from seqline.serving.request_errors import Cause, RequestError
from seqline.serving.service import Service
from seqline.serving.tracking import ID, LABEL, track
from seqline.serving.versions import Loaded

SIGNATURE_DEF, SERVING_DEFAULT = "signature_def", "serving_default"
PREDICTION, MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"


async def start_grpc(service: Service, host: str, port: int, draining: Callable[[], bool]) -> "grpc.aio.Server":
    """Starts the gRPC services on the event loop of the HTTP interface.

    Args:
        service: The service that answers.
        host: Address to listen on.
        port: Port to listen on.
        draining: Whether the server has been asked to stop.

    Raises:
        UserError: If the port is in use.
    """
    limits = service.limits
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", limits.body_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
            ("grpc.max_metadata_size", limits.header_bytes),
            ("grpc.absolute_max_metadata_size", limits.header_bytes),
            ("grpc.server_handshake_timeout_ms", int(1000 * limits.receive_seconds)),
        ],
        maximum_concurrent_rpcs=limits.connections,
    )
    handlers = Handlers(service)
    server.add_generic_rpc_handlers(
        (
            _handler(
                PREDICTION,
                limits,
                Predict=(handlers.predict, messages.PredictRequest),
                GetModelMetadata=(handlers.metadata, messages.GetModelMetadataRequest),
            ),
            _handler(MODEL, limits, GetModelStatus=(handlers.status, messages.GetModelStatusRequest)),
            inference_service(service, _handler),
        )
    )
    health = Health(service.versions.healthy, draining, (PREDICTION, MODEL, INFERENCE))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"  # of IPv6
    try:
        server.add_insecure_port(address)
    except RuntimeError:
        raise UserError(f"cannot listen on {address} for gRPC; choose another port") from None
    await server.start()
    return server


class Handlers:
    """One method per RPC.

    Args:
        service: The service that answers.
    """

    def __init__(self, service: Service) -> None:
        self.service = service

    async def predict(self, request: Any) -> Any:
        """Answers the tensor `text`; the signature `parameters` also takes decoding parameters as scalars."""
        version, label = self._version(request.model_spec)
        signature = request.model_spec.signature_name or SERVING_DEFAULT
        if signature not in (SERVING_DEFAULT, PARAMETERS):
            raise RequestError(Cause.INVALID, f"there is no signature {signature!r}; use serving_default or parameters")
        tensors = {entry.key: entry.value for entry in request.inputs}
        accepted = {"text"} if signature == SERVING_DEFAULT else {"text", *DEFAULTS}
        if "text" not in tensors or not set(tensors) <= accepted:
            raise RequestError(Cause.INVALID, f"inputs are {sorted(tensors)}; the signature takes {sorted(accepted)}")
        texts = _texts(tensors.pop("text"), self.service.limits)
        parameters = read_parameters({name: _scalar(name, tensor) for name, tensor in tensors.items()})
        answered = await self.service.answer(texts, parameters, version, label, "grpc")
        response = messages.PredictResponse()
        self._spec(response.model_spec, answered.version, signature)
        outputs = set(request.output_filter) or {"text", "score"}
        if not outputs <= {"text", "score"}:
            raise RequestError(Cause.INVALID, f"output_filter has {sorted(outputs)}; the outputs are ['score', 'text']")
        rows = [[(answer.text, answer.score), *answer.alternatives] for answer in answered.answers]
        # The shapes of the signatures: parameters has n_best results of each text.
        shape = [len(rows)] if signature == SERVING_DEFAULT else [len(rows), dict(parameters).get("n_best", 1)]
        if "text" in outputs:
            tensor = _tensor(response, "text", messages.DT_STRING, shape)
            tensor.string_val.extend(text.encode() for row in rows for text, _ in row)
        if "score" in outputs:
            tensor = _tensor(response, "score", messages.DT_FLOAT, shape)
            tensor.float_val.extend(float("nan") if score is None else score for row in rows for _, score in row)
        return response

    async def metadata(self, request: Any) -> Any:
        """Returns a version's signatures."""
        if list(request.metadata_field) != [SIGNATURE_DEF]:
            raise RequestError(Cause.INVALID, f"metadata_field is {list(request.metadata_field)}; use signature_def")
        loaded = self.service.choose(*self._version(request.model_spec))
        signatures = messages.SignatureDefMap()
        for name, serialized in loaded.batcher.engine.metadata["proto"].items():
            signatures.signature_def.add(key=name, value=base64.b64decode(serialized))
        response = messages.GetModelMetadataResponse()
        self._spec(response.model_spec, loaded.version)
        entry = response.metadata.add(key=SIGNATURE_DEF)
        entry.value.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        entry.value.value = signatures.SerializeToString()
        return response

    async def status(self, request: Any) -> Any:
        """Returns the state of one version, or of all."""
        version, label = self._version(request.model_spec)
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

    def _version(self, spec: Any) -> tuple[int | None, str | None]:
        self.service.check_name(spec.name)
        version = spec.version.value if spec.HasField("version") else None
        return version, spec.version_label or None

    def _spec(self, spec: Any, version: int, signature: str = "") -> None:
        spec.name, spec.version.value, spec.signature_name = self.service.name, version, signature


def _tensor(response: Any, name: str, dtype: int, shape: list[Any]) -> Any:
    tensor = response.outputs.add(key=name).value
    tensor.dtype = dtype
    for size in shape:
        tensor.tensor_shape.dim.add(size=int(size))
    return tensor


def _texts(tensor: Any, limits: Limits) -> list[str]:
    if tensor.dtype != messages.DT_STRING or len(tensor.tensor_shape.dim) != 1:
        raise RequestError(Cause.INVALID, "text must be a tensor of strings with one dimension")
    size, given = tensor.tensor_shape.dim[0].size, len(tensor.string_val)
    limits.check_count(max(size, given))
    # A tensor of equal values may be sent as one.
    repeated = size if given == 1 and size > 1 else 1
    if given * repeated != size:
        raise RequestError(Cause.INVALID, f"text has {given} strings, but its shape is [{size}]")
    texts: list[str] = []
    total = 0
    for index, value in enumerate(tensor.string_val):
        # A character has at most four bytes: the limits hold before anything is decoded.
        limits.check_length(index, len(value) // 4)
        limits.check_total(total + repeated * (len(value) // 4))
        try:
            texts.append(value.decode())
        except UnicodeDecodeError:
            raise RequestError(Cause.INVALID, f"text {index} is not UTF-8") from None
        limits.check_length(index, len(texts[-1]))
        total += repeated * len(texts[-1])
        limits.check_total(total)
    return texts * repeated


def _scalar(name: str, tensor: Any) -> float | int | bool:
    """The value of a scalar tensor, in any encoding that clients such as `tf.make_tensor_proto` use."""
    formats = {messages.DT_FLOAT: "<f", messages.DT_INT32: "<i", messages.DT_INT64: "<q", messages.DT_BOOL: "<?"}
    fields = {
        messages.DT_FLOAT: tensor.float_val,
        messages.DT_INT32: tensor.int_val,
        messages.DT_INT64: tensor.int64_val,
        messages.DT_BOOL: tensor.bool_val,
    }
    if tensor.dtype in formats and not tensor.tensor_shape.dim:
        kind = formats[tensor.dtype]
        if len(tensor.tensor_content) == struct.calcsize(kind):
            return struct.unpack(kind, tensor.tensor_content)[0]  # type: ignore[no-any-return]
        if len(fields[tensor.dtype]) == 1:
            return fields[tensor.dtype][0]  # type: ignore[no-any-return]
    raise RequestError(Cause.INVALID, f"{name} must be a scalar: a number or a boolean")


def _handler(
    name: str, limits: Limits, **methods: tuple[Callable[[Any], Awaitable[Any]], Any]
) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        name,
        {
            method: grpc.unary_unary_rpc_method_handler(_aborting(behaviour), _reader(request, limits))
            for method, (behaviour, request) in methods.items()
        },
    )


def _reader(message: Any, limits: Limits) -> Callable[[bytes], Any]:
    """Returns a parser that returns a `RequestError` for an invalid message."""

    def read(content: bytes) -> Any:
        try:
            check_size(content, message.DESCRIPTOR, limits)
            return message.FromString(content)
        except RequestError as error:
            return error
        except Exception as error:
            return RequestError(Cause.INVALID, f"the message cannot be read: {error}")

    return read


def _aborting(behaviour: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[bytes]]:
    async def call(request: Any, context: Any) -> bytes:
        metadata = dict(context.invocation_metadata() or ())
        tracked = track(str(metadata.get(LABEL, "")))
        try:
            if isinstance(request, RequestError):
                raise request
            answer = await behaviour(request)
            if tracked.answer_id:
                context.set_trailing_metadata(((ID, tracked.answer_id),))
        except RequestError as error:
            if error.retry_after:
                context.set_trailing_metadata((("retry-after", str(error.retry_after)),))
            await context.abort(grpc.StatusCode[error.cause.value[1]], str(error))
        return bytes(answer.SerializeToString())

    return call
