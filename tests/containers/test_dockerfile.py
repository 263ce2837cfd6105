"""The Dockerfile: one target per image, no root, no installer left, names of the compiled spec."""

import re
from pathlib import Path

import pytest
import tomllib

from seqline.configuration.accelerators import accelerated_images

ROOT = Path(__file__).parents[2]
IMAGES = sorted(path.parent.name for path in ROOT.glob("containers/*/requirements.txt"))
TEXT = (ROOT / "containers" / "Dockerfile").read_text()
BOOT = "/opt/apache/beam/boot"
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
HELPERS = {"", "tools", "requirements", "project", "base", "beam", "worker"}


def steps_above_base(image: str) -> list[str]:
    """Instructions of an image's own stages, those of the stage next to the base first."""
    name = re.fullmatch(r"FROM (\S+) AS \S+", STAGES[image][0])[1]
    return [*(steps_above_base(name) if name != "base" else []), *STAGES[image][1:]]


def environment(image: str) -> dict[str, str]:
    """Variables that an image sets."""
    text = " ".join(step for step in steps_above_base(image) if step.startswith("ENV "))
    return dict(re.findall(r"(\w+)=(\S+)", text))


def test_every_stage_of_the_pipelines_has_an_image_of_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    contracts = [path.read_text() for path in ROOT.glob("components/**/component.py")]
    named = {re.search(r'base_image="([^"]+)"', contract)[1] for contract in contracts}
    assert named <= {f"seqline/{image}:{version}" for image in IMAGES}


def test_every_image_is_a_target() -> None:
    assert sorted(set(STAGES) - HELPERS) == IMAGES


def test_the_base_is_an_argument_with_a_tag_and_a_digest() -> None:
    argument, _ = STAGES[""]
    assert re.fullmatch(r"ARG BASE_IMAGE=python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", argument)
    for name in ("tools", "base"):
        assert STAGES[name][0] == f"FROM ${{BASE_IMAGE}} AS {name}"
    for name in ("requirements", "project"):
        assert STAGES[name][0] == f"FROM tools AS {name}"


@each_image
def test_it_runs_as_a_numbered_user_who_owns_none_of_the_code(image: str) -> None:
    steps = [*STAGES["base"], *steps_above_base(image)]
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
    steps = [step for step in steps_above_base(image) if not step.startswith(allowed)]
    assert bool(steps) == (image in {"train-gpu", "train-tpu", "serve-gpu", "tokenize", "infer"})


def test_the_builders_tools_are_not_in_the_images() -> None:
    for name in ("base", "worker", *IMAGES):
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


@pytest.mark.parametrize("image", ["tokenize", "infer"])
def test_dataflow_starts_a_worker_by_the_images_entry_point_in_its_own_environment(image: str) -> None:
    steps = steps_above_base(image)
    assert f'ENTRYPOINT ["{BOOT}"]' in steps
    assert f"COPY --from=beam {BOOT} {BOOT}" in steps
    assert STAGES["beam"] == ["FROM ${BEAM_IMAGE} AS beam"]
    assert environment(image) == {"RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1"}


def test_beams_boot_program_is_of_the_locked_version_of_beam_and_the_bases_python() -> None:
    base, beam = STAGES[""]
    python = re.search(r"python:(3\.\d+)-", base)[1]
    (version,) = {
        re.search(r"(?m)^apache-beam==(\S+)", (ROOT / "containers" / image / "requirements.txt").read_text())[1]
        for image in ("tokenize", "infer")
    }
    assert beam == f"ARG BEAM_IMAGE=apache/beam_python{python}_sdk:{version}"


@pytest.mark.parametrize("image", ["tokenize", "infer"])
def test_beams_boot_program_finds_beam_by_pip(image: str) -> None:
    assert re.search(r"(?m)^pip==", (ROOT / "containers" / image / "requirements.txt").read_text())


def test_only_the_images_with_beam_need_its_image() -> None:
    # Buildah 1.28 builds all stages above its target, needed or not.
    names = list(STAGES)
    assert set(names[names.index("beam") :]) == {"beam", "worker", "tokenize", "infer"}


@pytest.mark.parametrize("image", ["train-gpu", "serve-gpu"])
def test_an_image_for_gpus_requires_one_and_finds_the_machines_driver(image: str) -> None:
    assert environment(image)["SEQLINE_ACCELERATOR"] == "GPU"
    assert environment(image)["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert "/usr/local/nvidia/lib64" in environment(image)["LD_LIBRARY_PATH"].split(":")
    # Export, and a server with several versions, have more than one process on a GPU.
    assert environment(image)["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_an_image_requires_an_accelerator_exactly_if_it_has_libraries_for_one() -> None:
    required = {image: environment(image).get("SEQLINE_ACCELERATOR") for image in IMAGES}
    assert {image for image, kind in required.items() if kind} == accelerated_images()
    assert required["train-tpu"] == "TPU"
