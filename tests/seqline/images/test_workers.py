"""Images that Dataflow starts as workers."""

import json
from pathlib import Path
from typing import Any

import pytest

from seqline.errors import UserError
from seqline.images.build import Engine
from seqline.images.workers import ENTRY_POINT, LABEL, VARIABLE, beam_version, check_beam_image, check_worker

CONTAINERS = Path(__file__).parents[3] / "containers"
SETTINGS = {
    "Entrypoint": ENTRY_POINT,
    "Env": ["PATH=/opt/venv/bin", VARIABLE],
    "Labels": {LABEL: "mirror.example.org/beam_python3.11_sdk:2.77.0"},
}


def engine(
    folder: Path, settings: dict[str, Any], shown: str = "echo Name: apache-beam; echo Version: 2.77.0"
) -> Engine:
    """A stand-in of docker that has one image, in which pip prints something."""
    program = folder / "docker"
    program.write_text(
        f"#!/bin/sh\ncase \"$*\" in\n*'image inspect'*) echo '{json.dumps([{'Config': settings}])}' ;;\n"
        f"*pip*) {shown} ;;\nesac\n"
    )
    program.chmod(0o755)
    return Engine((str(program),))


def test_an_image_with_beams_boot_program_and_its_beam_passes(tmp_path: Path) -> None:
    check_worker(engine(tmp_path, SETTINGS), "seqline/infer:1")


@pytest.mark.parametrize(
    ("settings", "shown", "message"),
    [
        ({"Entrypoint": None}, "true", "the entry point is None, not"),
        ({"Env": ["PATH=/opt/venv/bin"]}, "true", "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 is not set"),
        ({}, "echo No module named pip >&2; exit 1", "`python` fails in seqline/infer:1: No module named pip"),
        (
            {},
            "echo Version: 2.76.0",
            "boot is from mirror.example.org/beam_python3.11_sdk:2.77.0, but apache-beam is 2.76.0",
        ),
    ],
)
def test_an_image_that_dataflow_could_not_start_is_refused(
    tmp_path: Path, settings: dict[str, Any], shown: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_worker(engine(tmp_path, {**SETTINGS, **settings}, shown), "seqline/infer:1")


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("apache/beam_python3.11_sdk:2.77.0", "2.77.0"),
        ("localhost:5000/beam:2.77.0-patched@sha256:0", "2.77.0"),
        ("localhost:5000/beam", ""),
        ("example.org/beam:latest", ""),
    ],
)
def test_the_version_of_an_image_is_in_its_tag(image: str, version: str) -> None:
    assert beam_version(image) == version


def test_an_image_of_another_beam_is_refused_before_the_build() -> None:
    check_beam_image("example.org/beam:latest", CONTAINERS)
    with pytest.raises(
        UserError, match=r"example.org/beam:2.1.0 is Beam 2.1.0, but .*requirements.txt has 2\.\d+\.\d+"
    ):
        check_beam_image("example.org/beam:2.1.0", CONTAINERS)
