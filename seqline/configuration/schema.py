"""The JSON schema of `seqline.yaml`, from which editors complete and check it."""

from typing import Any

from seqline.configuration.model import BUILT_IN, Configuration
from seqline.pipelines import PIPELINES
from seqline.schema.descriptions import describe
from seqline.schema.run import RunParameters
from seqline.schema.sections import SECTIONS


def schema() -> dict[str, Any]:
    """Returns the schema of the configuration, with the parameters of all pipelines and the options of all stages."""
    made = Configuration.model_json_schema()
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "seqline.yaml"
    made["properties"]["pipeline"]["anyOf"] = [{"enum": list(PIPELINES)}, {"type": "string", "pattern": "[:.]"}]
    definitions = made["$defs"]
    made["properties"]["target"]["examples"] = list(BUILT_IN)
    properties = dict(RunParameters.model_json_schema()["properties"])
    for name, section in SECTIONS.items():
        stage = section.model.model_json_schema()
        definitions |= stage.pop("$defs", {})
        if section.field:
            properties[name] = stage["properties"][section.field]
        else:
            options = {option: stage["properties"][option] for option in section.fields}
            properties[name] = {"type": "object", "additionalProperties": False, "properties": options}
        properties[name] = {**properties[name], "description": describe(name)}
    definitions["Parameters"] = {"type": "object", "additionalProperties": False, "properties": properties}
    for part in (made, *definitions.values()):
        if "parameters" in part.get("properties", {}):
            described = part["properties"]["parameters"].get("description", "")
            part["properties"]["parameters"] = {"$ref": "#/$defs/Parameters", "description": described}
    return made
