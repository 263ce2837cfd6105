"""The CycloneDX bill of materials of an image, read from the image itself, not from its requirements."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from seqline.atomic import atomic_write
from seqline.errors import UserError
from seqline.images.build import Engine

# Runs inside: a line of JSON for each Python distribution.
PYTHON = """
import json
from importlib.metadata import distributions
for one in distributions():
    data = one.metadata
    classified = [one for one in data.get_all("Classifier") or [] if one.startswith("License :: OSI Approved :: ")]
    licenses = [data["License-Expression"]] if data["License-Expression"] else [one[27:] for one in classified]
    print(json.dumps({"name": data["Name"], "version": data["Version"], "summary": data["Summary"],
                      "licenses": licenses}))
"""
DEBIAN = ["dpkg-query", "--show", "--showformat=${Package}\\t${Version}\\t${Architecture}\\t${source:Package}\\n"]


def write_sbom(path: Path, image: str, engine: Engine) -> None:
    """Writes the bill of materials of an image: its Debian and its Python packages.

    Args:
        path: The file to write: CycloneDX 1.6 as JSON.
        image: The image's name and tag.
        engine: Runs it.

    Raises:
        UserError: If the image does not exist, or has neither dpkg nor Python.
    """
    bom = Bom()
    name, _, tag = image.rpartition(":")
    bom.metadata.component = Component(name=name, version=tag, type=ComponentType.CONTAINER, bom_ref=image)
    bom.metadata.tools.components.add(
        Component(name="seqline", version=version("seqline"), type=ComponentType.APPLICATION)
    )
    with engine.container(image) as container:
        python, debian = container.read(["python3", "-c", PYTHON]), container.read(DEBIAN)
    for found in (*_python(python), *_debian(debian)):
        bom.components.add(found)
    if not bom.components:
        raise UserError(f"{image} contains no packages")
    bom.register_dependency(bom.metadata.component, bom.components)
    # The same content has the same number.
    content = "\n".join(sorted(str(found.purl) for found in bom.components))
    bom.serial_number = uuid5(NAMESPACE_URL, f"{image}\n{content}")
    atomic_write(path, make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1))


def _python(listed: str) -> Iterator[Component]:
    for line in listed.splitlines():
        one = json.loads(line)
        declared = LicenseAcknowledgement.DECLARED
        licences = [
            LicenseFactory().make_from_string(text, license_acknowledgement=declared) for text in one["licenses"]
        ]
        purl = PackageURL("pypi", name=one["name"].lower().replace("_", "-"), version=one["version"])
        yield Component(
            name=one["name"],
            version=one["version"],
            description=one["summary"],
            licenses=licences,
            purl=purl,
            bom_ref=str(purl),
        )


def _debian(listed: str) -> Iterator[Component]:
    for line in listed.splitlines():
        name, number, architecture, source = line.split("\t")
        purl = PackageURL(
            "deb", "debian", name, number, {"arch": architecture, **({"upstream": source} if source != name else {})}
        )
        yield Component(name=name, version=number, purl=purl, bom_ref=str(purl))
