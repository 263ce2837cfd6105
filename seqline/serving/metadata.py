"""A SavedModel's signatures, as TensorFlow Serving's metadata tells them. Runs in a worker's process."""

import base64
from pathlib import Path
from typing import Any


def read_metadata(path: Path) -> dict[str, Any]:
    """Reads what a model's signatures take and give, without loading it.

    Args:
        path: The exported model's folder.

    Returns:
        `json`: the `signature_def` object of TensorFlow Serving's REST answer. `proto`: the serialized SignatureDef of
        each signature, in base64, for gRPC. `description`: what model.json says, empty where there is none.
    """
    import json

    from google.protobuf.json_format import MessageToDict
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    signatures = {
        name: signature
        for name, signature in saved.meta_graphs[0].signature_def.items()
        if name != "__saved_model_init_op"
    }
    described = path / "model.json"
    return {
        "json": {
            name: MessageToDict(signature, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
            for name, signature in sorted(signatures.items())
        },
        "proto": {
            name: base64.b64encode(signature.SerializeToString(deterministic=True)).decode()
            for name, signature in sorted(signatures.items())
        },
        "description": json.loads(described.read_text(encoding="utf-8")) if described.is_file() else {},
    }
