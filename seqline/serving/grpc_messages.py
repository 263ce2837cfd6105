"""The messages of TensorFlow Serving's gRPC services that this server uses.

Wire-compatible with tensorflow_serving/apis/{predict,get_model_metadata,get_model_status}.proto, but defined here in a
separate descriptor pool: the published package, tensorflow-serving-api, imports all of TensorFlow, which the server's
process does not need. Field numbers are those of the published files.
"""

from seqline.protobuf import Fields, message_classes

MESSAGES: dict[str, Fields] = {
    "tensorflow.TensorShapeProto.Dim": {"size": (1, "int64", False)},
    "tensorflow.TensorShapeProto": {"dim": (2, "tensorflow.TensorShapeProto.Dim", True)},
    "tensorflow.TensorProto": {
        "dtype": (1, "int32", False),  # an enum on the wire
        "tensor_shape": (2, "tensorflow.TensorShapeProto", False),
        "tensor_content": (4, "bytes", False),
        "float_val": (5, "float", True),
        "int_val": (7, "int32", True),
        "string_val": (8, "bytes", True),
        "int64_val": (10, "int64", True),
        "bool_val": (11, "bool", True),
    },
    "google.protobuf.Int64Value": {"value": (1, "int64", False)},
    "google.protobuf.Any": {"type_url": (1, "string", False), "value": (2, "bytes", False)},
    "tensorflow.serving.ModelSpec": {
        "name": (1, "string", False),
        "version": (2, "google.protobuf.Int64Value", False),
        "signature_name": (3, "string", False),
        "version_label": (4, "string", False),
    },
    # Maps are repeated entries of key and value.
    "tensorflow.serving.NamedTensor": {"key": (1, "string", False), "value": (2, "tensorflow.TensorProto", False)},
    "tensorflow.serving.NamedAny": {"key": (1, "string", False), "value": (2, "google.protobuf.Any", False)},
    "tensorflow.serving.NamedSignature": {"key": (1, "string", False), "value": (2, "bytes", False)},
    "tensorflow.serving.SignatureDefMap": {"signature_def": (1, "tensorflow.serving.NamedSignature", True)},
    "tensorflow.serving.PredictRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec", False),
        "inputs": (2, "tensorflow.serving.NamedTensor", True),
        "output_filter": (3, "string", True),
    },
    "tensorflow.serving.PredictResponse": {
        "outputs": (1, "tensorflow.serving.NamedTensor", True),
        "model_spec": (2, "tensorflow.serving.ModelSpec", False),
    },
    "tensorflow.serving.GetModelMetadataRequest": {
        "model_spec": (1, "tensorflow.serving.ModelSpec", False),
        "metadata_field": (2, "string", True),
    },
    "tensorflow.serving.GetModelMetadataResponse": {
        "model_spec": (1, "tensorflow.serving.ModelSpec", False),
        "metadata": (2, "tensorflow.serving.NamedAny", True),
    },
    "tensorflow.serving.GetModelStatusRequest": {"model_spec": (1, "tensorflow.serving.ModelSpec", False)},
    "tensorflow.serving.StatusProto": {"error_code": (1, "int32", False), "error_message": (2, "string", False)},
    "tensorflow.serving.ModelVersionStatus": {
        "version": (1, "int64", False),
        "state": (2, "int32", False),  # an enum on the wire
        "status": (3, "tensorflow.serving.StatusProto", False),
    },
    "tensorflow.serving.GetModelStatusResponse": {
        "model_version_status": (1, "tensorflow.serving.ModelVersionStatus", True)
    },
}

# tensorflow/core/framework/types.proto and tensorflow_serving/apis/get_model_status.proto
DT_FLOAT, DT_INT32, DT_STRING, DT_INT64, DT_BOOL = 1, 3, 7, 9, 10
AVAILABLE, END, UNKNOWN = 30, 50, 2

_CLASSES = message_classes("seqline.serving", MESSAGES)
TensorProto = _CLASSES["tensorflow.TensorProto"]
ModelSpec = _CLASSES["tensorflow.serving.ModelSpec"]
SignatureDefMap = _CLASSES["tensorflow.serving.SignatureDefMap"]
PredictRequest = _CLASSES["tensorflow.serving.PredictRequest"]
PredictResponse = _CLASSES["tensorflow.serving.PredictResponse"]
GetModelMetadataRequest = _CLASSES["tensorflow.serving.GetModelMetadataRequest"]
GetModelMetadataResponse = _CLASSES["tensorflow.serving.GetModelMetadataResponse"]
GetModelStatusRequest = _CLASSES["tensorflow.serving.GetModelStatusRequest"]
GetModelStatusResponse = _CLASSES["tensorflow.serving.GetModelStatusResponse"]
