"""The JSON schema of `seqline.yaml`, for editors: completion, descriptions and errors while typing."""

from importlib import import_module
from typing import Any

from seqline.compiling.compiler import PIPELINES
from seqline.configuration.model import Configuration

KINDS = {
    "STRING": "string",
    "NUMBER_INTEGER": "integer",
    "NUMBER_DOUBLE": "number",
    "BOOLEAN": "boolean",
    "STRUCT": "object",
    "LIST": "array",
}


def schema() -> dict[str, Any]:
    """Returns the schema: the models' own, with the parameters of all pipelines by name, type and description."""
    made = Configuration.model_json_schema()
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "seqline.yaml"
    made["properties"]["pipeline"]["enum"] = list(PIPELINES)
    parameters = _parameters()
    made["$defs"]["Parameters"] = {"type": "object", "additionalProperties": False, "properties": parameters}
    for part in (made, *made["$defs"].values()):
        if "parameters" in part.get("properties", {}):
            described = part["properties"]["parameters"]
            part["properties"]["parameters"] = {
                "$ref": "#/$defs/Parameters",
                "description": described.get("description", ""),
            }
    return made


def _parameters() -> dict[str, Any]:
    """What the pipelines' parameters take."""
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = {}
    for name, module in PIPELINES.items():
        graph = getattr(import_module(module), name)
        for parameter, given in MessageToDict(graph.pipeline_spec.root.input_definitions)["parameters"].items():
            found[parameter] = {
                "type": KINDS[given["parameterType"]],
                "description": given.get("description", ""),
                "default": given.get("defaultValue"),
            }
    return found
