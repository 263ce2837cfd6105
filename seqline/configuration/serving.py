"""The default image of the model server, for a CPU or a GPU, wherever a run gets that from: file, --set, schedule."""

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from seqline.configuration.accelerators import CPU_SERVING, SERVING
from seqline.configuration.images import Images
from seqline.configuration.parameters import Parameters, merge
from seqline.schema.texts import Text, parse

SECTION = "serving"
IMAGE = re.compile(rf"(?P<repository>.+)/(?P<name>{CPU_SERVING}|{SERVING})(?P<version>[:@].+)")


def with_serving_image(known: Parameters, values: Mapping[str, Any], images: Images) -> dict[str, Any]:
    """Completes values of a run whose machines need another image than the default in the spec.

    Args:
        known: The pipeline's parameters, whose default was chosen when the spec was compiled.
        values: Values by parameter name.
        images: The configuration's images.

    Returns:
        The values. They are the same if they name an image themselves, and if the image's address is unknown, which the
        options of deploy refuse.
    """
    given = values.get(SECTION)
    given = parse(given) if isinstance(given, Text) else given
    if SECTION not in known.sections or not isinstance(given, Mapping) or "image" in given:
        return dict(values)
    default = known.defaults.get(SECTION) or {}
    image = _other(str(default.get("image", "")), bool(merge(default, given).get("accelerator_type")), images)
    return {**values, SECTION: {**given, "image": image}} if image else dict(values)


def _other(default: str, gpu: bool, images: Images) -> str:
    """The image of the same version for the other kind of machine; empty if the default is right, or none is known."""
    found = IMAGE.fullmatch(default)
    wanted = SERVING if gpu else CPU_SERVING
    if not found or found["name"] == wanted:
        return ""
    tag = found["version"][1:] if found["version"].startswith(":") else images.tag or version("seqline")
    if images.reference(f"seqline/{found['name']}:{tag}") == default:
        return images.reference(f"seqline/{wanted}:{tag}")
    # An uploaded version with other images than the configuration's.
    return f"{found['repository']}/{wanted}{found['version']}" if found["version"].startswith(":") else ""
