"""The messages of the protocol's gRPC service: specification/protocol/open_inference_grpc.proto.

They are in a descriptor pool of their own, so that a process can have the published ones beside them. A map is repeated
entries of key and value on the wire.
"""

from seqline.protobuf import Fields, message_classes

MESSAGES: dict[str, Fields] = {
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

CLASSES = message_classes("seqline.inference", MESSAGES, ONE_OF)
