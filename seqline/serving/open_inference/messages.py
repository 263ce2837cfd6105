"""The messages of the protocol's gRPC service: specification/protocol/open_inference_grpc.proto.

They are in a descriptor pool of their own, so that a process can have the published ones beside them. A map is repeated
entries of key and value on the wire.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Field = descriptor_pb2.FieldDescriptorProto

# message -> field -> (number, type, repeated); a type is a scalar or the name of a message.
MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "InferParameter": {
        "bool_param": (1, "bool", False),
        "int64_param": (2, "int64", False),
        "string_param": (3, "string", False),
        "double_param": (4, "double", False),
        "uint64_param": (5, "uint64", False),
    },
    "NamedParameter": {"key": (1, "string", False), "value": (2, "InferParameter", False)},
    "InferTensorContents": {
        "bool_contents": (1, "bool", True),
        "fp32_contents": (6, "float", True),
        "bytes_contents": (8, "bytes", True),
    },
    "Tensor": {
        "name": (1, "string", False),
        "datatype": (2, "string", False),
        "shape": (3, "int64", True),
        "parameters": (4, "NamedParameter", True),
        "contents": (5, "InferTensorContents", False),
    },
    "RequestedOutput": {"name": (1, "string", False), "parameters": (2, "NamedParameter", True)},
    "TensorMetadata": {
        "name": (1, "string", False),
        "datatype": (2, "string", False),
        "shape": (3, "int64", True),
    },
    "ServerLiveRequest": {},
    "ServerLiveResponse": {"live": (1, "bool", False)},
    "ServerReadyRequest": {},
    "ServerReadyResponse": {"ready": (1, "bool", False)},
    "ModelReadyRequest": {"name": (1, "string", False), "version": (2, "string", False)},
    "ModelReadyResponse": {"ready": (1, "bool", False)},
    "ServerMetadataRequest": {},
    "ServerMetadataResponse": {
        "name": (1, "string", False),
        "version": (2, "string", False),
        "extensions": (3, "string", True),
    },
    "ModelMetadataRequest": {"name": (1, "string", False), "version": (2, "string", False)},
    "ModelMetadataResponse": {
        "name": (1, "string", False),
        "versions": (2, "string", True),
        "platform": (3, "string", False),
        "inputs": (4, "TensorMetadata", True),
        "outputs": (5, "TensorMetadata", True),
    },
    "ModelInferRequest": {
        "model_name": (1, "string", False),
        "model_version": (2, "string", False),
        "id": (3, "string", False),
        "parameters": (4, "NamedParameter", True),
        "inputs": (5, "Tensor", True),
        "outputs": (6, "RequestedOutput", True),
        "raw_input_contents": (7, "bytes", True),
    },
    "ModelInferResponse": {
        "model_name": (1, "string", False),
        "model_version": (2, "string", False),
        "id": (3, "string", False),
        "outputs": (5, "Tensor", True),
        "raw_output_contents": (6, "bytes", True),
    },
}
# Messages of which one field alone is set.
ONE_OF = {"InferParameter": "parameter_choice"}


def _make() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(
        name="seqline/open_inference.proto", package="seqline.inference", syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        if name in ONE_OF:
            message.oneof_decl.add(name=ONE_OF[name])
        for field, (number, kind, repeated) in fields.items():
            described = message.field.add(name=field, number=number)
            described.label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
            if name in ONE_OF:
                described.oneof_index = 0
            if kind in MESSAGES:
                described.type, described.type_name = Field.TYPE_MESSAGE, f".seqline.inference.{kind}"
            else:
                described.type = Field.Type.Value(f"TYPE_{kind.upper()}")
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"seqline.inference.{name}"))
        for name in MESSAGES
    }


CLASSES = _make()
