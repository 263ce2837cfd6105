"""The images that Dataflow starts as workers: https://cloud.google.com/dataflow/docs/guides/build-container-image."""

import re
from pathlib import Path

from seqline.errors import UserError
from seqline.images.build import Engine

IMAGES = ("tokenize", "infer")
ENTRY_POINT = ["/opt/apache/beam/boot"]
# Boot starts Python in the image's own environment. It would make one in /opt/apache/beam-venv, where only root writes.
VARIABLE = "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1"
LABEL = "io.github.seqline.beam-image"
# What boot runs to find Beam (beam/sdks/python/container/piputil.go); the worker ends if that fails.
FIND_BEAM = ["python", "-m", "pip", "show", "apache-beam"]
VERSION = re.compile(r"(?m)^Version: (\S+)")


def beam_version(image: str) -> str:
    """Returns the version in the tag of an image of Beam's SDK; empty if it has none.

    Args:
        image: Its address, such as apache/beam_python3.11_sdk:2.77.0.
    """
    tag = re.search(r":([^/:@]+)(@|$)", image)
    found = re.match(r"\d+\.\d+\.\d+", tag[1]) if tag else None
    return found[0] if found else ""


def check_beam_image(image: str, containers: Path) -> None:
    """Checks, before anything is built, that an image is of the version of Beam in the locked sets.

    Args:
        image: The address of an image of Beam's SDK; without a version in its tag it is not checked.
        containers: The folder of the Dockerfile and the locked requirements.

    Raises:
        UserError: If it is of another version.
    """
    version = beam_version(image)
    for name in IMAGES:
        requirements = containers / name / "requirements.txt"
        locked = re.search(r"(?m)^apache-beam\S*==(\S+)", requirements.read_text(encoding="utf-8"))
        if version and locked and version != locked[1]:
            raise UserError(
                f"--beam-image: {image} is Beam {version}, but {requirements} has {locked[1]}, and Dataflow needs the "
                f"same on both sides: use apache/beam_python3.11_sdk:{locked[1]} or a copy of it"
            )


def check_worker(engine: Engine, image: str) -> None:
    """Checks that Dataflow can start workers from a built image.

    Args:
        engine: Has the image.
        image: Its name and tag.

    Raises:
        UserError: If its settings are not those of a worker, or Beam's boot program would not find the Beam of its own
            version.
    """
    settings = engine.settings(image)
    if settings.get("Entrypoint") != ENTRY_POINT:
        raise UserError(f"{image}: the entry point is {settings.get('Entrypoint')}, not {ENTRY_POINT}; build it again")
    if VARIABLE not in (settings.get("Env") or []):
        raise UserError(f"{image}: {VARIABLE} is not set; build it again")
    with engine.container(image) as container:
        container.read(["test", "-x", *ENTRY_POINT])
        found = VERSION.search(container.read(FIND_BEAM))
    source = (settings.get("Labels") or {}).get(LABEL, "")
    installed, version = found[1] if found else "", beam_version(source)
    if version and installed != version:
        raise UserError(
            f"{image}: boot is from {source}, but apache-beam is {installed}; build it with another --beam-image"
        )
