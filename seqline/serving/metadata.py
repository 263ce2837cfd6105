"""A SavedModel's signatures in the format of TensorFlow Serving's metadata. Runs in a worker's process."""

import base64
import json
from pathlib import Path
from typing import Any

from seqline.artifacts.exported_model import ExportedModel


def read_metadata(path: Path) -> dict[str, Any]:
    """Reads a model's signatures without loading it.

    Args:
        path: The exported model's folder.

    Returns:
        `json`: the `signature_def` object of TensorFlow Serving's REST response. `proto`: each signature's serialized
        SignatureDef in base64, for gRPC. `description`: see `read_description`.
    """
    from google.protobuf.json_format import MessageToDict
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    signatures = {
        name: signature
        for name, signature in saved.meta_graphs[0].signature_def.items()
        if name != "__saved_model_init_op"
    }
    return {
        "json": {
            name: MessageToDict(signature, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
            for name, signature in sorted(signatures.items())
        },
        "proto": {
            name: base64.b64encode(signature.SerializeToString(deterministic=True)).decode()
            for name, signature in sorted(signatures.items())
        },
        "description": read_description(path),
    }


def read_description(path: Path) -> dict[str, Any]:
    """Reads model.json, which clients get as it is.

    Args:
        path: The exported model's folder.

    Returns:
        Its content; empty if there is none.

    Raises:
        UserError: If this version of Seqline cannot read it.
    """
    model = ExportedModel(path)
    if not model.description_file.is_file():
        return {}
    model.read_description()
    return dict(json.loads(model.description_file.read_text(encoding="utf-8")))
