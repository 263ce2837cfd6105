"""The Dockerfiles: one shape, no root, no installer left, names that the compiled spec asks for."""

import re
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).parents[2]
DOCKERFILES = {path.parent.name: path.read_text() for path in sorted(ROOT.glob("containers/*/Dockerfile"))}
each_image = pytest.mark.parametrize("image", DOCKERFILES)


def instructions(image: str) -> list[str]:
    lines = [line for line in DOCKERFILES[image].splitlines() if not line.lstrip().startswith("#")]
    return [line for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines() if line]


def test_every_stage_has_an_image_of_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    contracts = [path.read_text() for path in ROOT.glob("components/*/component.py")]
    named = {re.search(r'base_image="([^"]+)"', contract)[1] for contract in contracts}
    assert named <= {f"seqline/{image}:{version}" for image in DOCKERFILES}


@each_image
def test_the_base_is_an_argument_of_every_stage(image: str) -> None:
    steps = instructions(image)
    assert steps[0] == "ARG BASE_IMAGE=python:3.11-slim-bookworm"
    bases = [step.split()[1] for step in steps if step.startswith("FROM")]
    assert bases == ["${BASE_IMAGE}"] * 3


@each_image
def test_it_runs_as_a_numbered_user_who_owns_none_of_the_code(image: str) -> None:
    last = instructions(image)[-1 - instructions(image)[::-1].index("FROM ${BASE_IMAGE}") :]
    assert [step for step in last if step.startswith("USER")] == ["USER 1000"]
    assert not [step for step in last if step.startswith("COPY") and "--chown" in step]


@each_image
def test_everything_is_installed_from_the_images_own_locked_set(image: str) -> None:
    steps = instructions(image)
    assert f"COPY containers/{image}/requirements.txt /requirements.txt" in steps
    [install] = [step for step in steps if "--requirement" in step]
    assert "--require-hashes" in install
    assert "--no-deps" in install
    assert "venv --without-pip" in install


def test_the_images_differ_in_name_and_purpose_only() -> None:
    def shape(image: str) -> list[str]:
        own = ("LABEL", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "RUN ln -s", "ENV PJRT_DEVICE", "RUN apt-get")
        steps = [step for step in instructions(image) if not step.startswith(own)]
        return [step.replace(f"containers/{image}/", "").replace(TENSORFLOW_SURPLUS, "") for step in steps]

    shapes = {image: shape(image) for image in DOCKERFILES}
    assert all(steps == shapes["tokenize"] for steps in shapes.values())


@each_image
def test_what_the_builders_need_is_not_in_the_image(image: str) -> None:
    steps = instructions(image)
    last = len(steps) - 1 - steps[::-1].index("FROM ${BASE_IMAGE}")
    assert not [step for step in steps[last:] if "apt-get" in step or " pip " in step]


TENSORFLOW_SURPLUS = (
    "rm -rf /opt/venv/lib/python3.11/site-packages/clang /opt/venv/lib/python3.11/site-packages/tensorflow/include && "
    "find /opt/venv/lib/python3.11/site-packages/tensorflow* -type f -name '*.so*' "
    "-exec strip --strip-unneeded {} + && "
)


def test_the_tpu_image_finds_its_runtime_where_vertex_looks() -> None:
    steps = instructions("train-tpu")
    assert "RUN ln -s /opt/venv/lib/python3.11/site-packages/libtpu/libtpu.so /lib/libtpu.so" in steps
    [environment] = [step for step in steps if "PJRT_DEVICE" in step]
    assert "TF_PLUGGABLE_DEVICE_LIBRARY_PATH=/lib/libtpu.so" in environment
    assert "NEXT_PLUGGABLE_DEVICE_USE_C_API=true" in environment


def test_the_build_context_holds_what_is_copied() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for image in DOCKERFILES:
        for step in instructions(image):
            if step.startswith("COPY") and "--from" not in step:
                for source in step.split()[1:-1]:
                    assert source in allowed or source.replace(image, "*") in allowed
