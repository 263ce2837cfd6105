"""The Dockerfile: one target per image, no root, no installer left, names of the compiled spec."""

import re
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).parents[2]
IMAGES = sorted(path.parent.name for path in ROOT.glob("containers/*/requirements.txt"))
TEXT = (ROOT / "containers" / "Dockerfile").read_text()
each_image = pytest.mark.parametrize("image", IMAGES)


def stages() -> dict[str, list[str]]:
    """Instructions by build stage, the first one its FROM; those before the first FROM by an empty name."""
    lines = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, list[str]] = {"": []}
    name = ""
    for step in filter(None, re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()):
        if step.startswith("FROM "):
            name = step.rpartition(" AS ")[2]
            found[name] = []
        found[name].append(step)
    return found


STAGES = stages()


def test_every_stage_of_the_pipelines_has_an_image_of_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    contracts = [path.read_text() for path in ROOT.glob("components/**/component.py")]
    named = {re.search(r'base_image="([^"]+)"', contract)[1] for contract in contracts}
    assert named <= {f"seqline/{image}:{version}" for image in IMAGES}


def test_every_image_is_a_target() -> None:
    assert sorted(set(STAGES) - {"", "tools", "requirements", "project", "base"}) == IMAGES


def test_the_base_is_an_argument_with_a_tag_and_a_digest() -> None:
    [argument] = STAGES[""]
    assert re.fullmatch(r"ARG BASE_IMAGE=python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", argument)
    for name in ("tools", "base"):
        assert STAGES[name][0] == f"FROM ${{BASE_IMAGE}} AS {name}"
    for name in ("requirements", "project"):
        assert STAGES[name][0] == f"FROM tools AS {name}"


@each_image
def test_it_runs_as_a_numbered_user_who_owns_none_of_the_code(image: str) -> None:
    assert STAGES[image][0] == f"FROM base AS {image}"
    steps = [*STAGES["base"], *STAGES[image]]
    assert [step for step in steps if step.startswith("USER")][-1] == "USER 1000"
    assert not [step for step in steps if step.startswith("COPY") and "--chown" in step]


def test_everything_is_installed_from_the_images_own_locked_set() -> None:
    steps = STAGES["requirements"]
    assert "COPY containers/${IMAGE}/requirements.txt /requirements.txt" in steps
    [install] = [step for step in steps if "--requirement" in step]
    assert "venv --without-pip" in install
    wheels, installed = (command for command in install.split("&&") if "/pip" in command)
    assert {"--require-hashes", "--no-deps", "--no-build-isolation"} <= set(wheels.split())
    assert {"--no-index", "--no-deps"} <= set(installed.split())


def test_the_build_tools_have_locked_hashes_and_no_build_fetches_others() -> None:
    [install] = [step for step in STAGES["tools"] if "install" in step]
    assert {"--require-hashes", "/requirements-build.txt"} <= set(install.split())
    [project] = [step for step in STAGES["project"] if "pip install" in step]
    assert {"--no-build-isolation", "--no-deps"} <= set(project.split())


@each_image
def test_an_image_adds_only_its_description_and_entry_point_to_the_base(image: str) -> None:
    allowed = ("FROM", "LABEL", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT")
    steps = [step for step in STAGES[image] if not step.startswith(allowed)]
    assert bool(steps) == (image == "train-tpu")


def test_the_builders_tools_are_not_in_the_images() -> None:
    for name in ("base", *IMAGES):
        assert not [step for step in STAGES[name] if "apt-get" in step or " pip " in step]


def test_the_serving_image_starts_the_model_server() -> None:
    assert 'ENTRYPOINT ["python3", "-m", "seqline.serving"]' in STAGES["serve"]
    assert "EXPOSE 8080" in STAGES["serve"]


def test_the_tpu_image_has_its_runtime_where_vertex_expects_it() -> None:
    steps = STAGES["train-tpu"]
    assert "RUN ln -s /opt/venv/lib/python3.11/site-packages/libtpu/libtpu.so /lib/libtpu.so" in steps
    [environment] = [step for step in steps if "PJRT_DEVICE" in step]
    assert "TF_PLUGGABLE_DEVICE_LIBRARY_PATH=/lib/libtpu.so" in environment
    assert "NEXT_PLUGGABLE_DEVICE_USE_C_API=true" in environment


def test_the_build_context_contains_the_copied_files() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [step for steps in STAGES.values() for step in steps if step.startswith("COPY") and "--from" not in step]
    assert len(copies) == 6
    for step in copies:
        for source in step.split()[1:-1]:
            assert source.replace("${IMAGE}", "*") in allowed
