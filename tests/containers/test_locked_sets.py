"""The locked sets: exact, complete, consistent, and sufficient for the code that runs on them."""

import ast
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
IMAGES = sorted(path.parent.name for path in ROOT.glob("containers/*/requirements.txt"))
CPU_IMAGES = {"train", "preflight", "evaluate", "serve", "infer"}
GPU_IMAGES = {"train-gpu", "serve-gpu"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# The same importable package from other distributions.
SAME = {"tensorflow-cpu": "tensorflow", "tensorflow-tpu": "tensorflow"}


@cache
def locked(image: str) -> dict[str, str]:
    """Versions by distribution; of the laptop's set for an empty name."""
    return locked_in(ROOT / "containers" / image / "requirements.txt" if image else ROOT / "requirements.txt")


def locked_in(file: Path) -> dict[str, str]:
    """Versions by distribution, each with its hashes."""
    text = file.read_text()
    entries = text.replace("\\\n", " ").splitlines()
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9.-]+(\[[a-z,-]+\])?==\S+( ;.*?)?(\s+--hash=sha256:[0-9a-f]{64})+", entry), entry
    return {re.split(r"[\[=]", entry)[0]: re.search(r"==(\S+)", entry)[1] for entry in entries}


def images_of_stages() -> dict[str, set[str]]:
    """The stages of each image, by their contracts."""
    stages: dict[str, set[str]] = {}
    for contract in ROOT.glob("components/**/component.py"):
        image = re.search(r'base_image="seqline/([a-z-]+):', contract.read_text())[1]
        stages.setdefault(image, set()).add(".".join(contract.relative_to(ROOT).parts[:-1]))
    stages["serve"].add("seqline.serving")
    stages["train-tpu"] = stages["train"]
    stages["train-gpu"] = {stage for image in ("train", "evaluate", "infer") for stage in stages[image]}
    stages["serve-gpu"] = stages["serve"]
    return stages


def required(extra: str) -> list[Requirement]:
    """The requirements of an extra, and of the extras that it includes."""
    found = []
    for one in map(Requirement, PROJECT["optional-dependencies"][extra]):
        found += [part for other in sorted(one.extras) for part in required(other)] if one.name == "seqline" else [one]
    return found


def source_of(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((found for found in (path.with_suffix(".py"), path / "__init__.py") if found.exists()), None)


def imports(source: Path) -> set[str]:
    """Names of the modules that a file imports anywhere, functions included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def third_party(stages: set[str]) -> set[str]:
    """Top-level packages that stages import, themselves or through other modules of the project."""
    folders = [ROOT / stage.replace(".", "/") for stage in stages]
    waiting = [
        file for folder in folders for file in (folder / "component.py", folder / "__main__.py") if file.exists()
    ]
    seen: set[Path] = set()
    packages: set[str] = set()
    while waiting:
        source = waiting.pop().resolve()
        if source in seen:
            continue
        seen.add(source)
        for module in imports(source):
            top = module.partition(".")[0]
            if top == "seqline":
                waiting += [found] if (found := source_of(module)) else []
            elif top not in sys.stdlib_module_names:
                packages.add(top)
    return packages


def test_every_image_is_locked() -> None:
    assert set(IMAGES) == set(images_of_stages())


@pytest.mark.parametrize("image", ["", *IMAGES])
def test_every_line_is_an_exact_version_with_hashes_and_no_address(image: str) -> None:
    assert len(locked(image)) > 30
    text = (ROOT / "containers" / image / "requirements.txt" if image else ROOT / "requirements.txt").read_text()
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_the_versions_that_the_laptop_tests(image: str) -> None:
    laptop = locked("")
    free = {"tensorflow-text", "tensorboard", "libtpu"} if image == "train-tpu" else set()
    differing = {
        name: (version, laptop[name])
        for name, version in locked(image).items()
        if name in laptop and name not in free and version != laptop[name]
    }
    assert not differing
    unknown = set(locked(image)) - set(laptop) - {"tensorflow-cpu", "tensorflow-tpu", "libtpu"}
    cuda = {name for name in unknown if re.fullmatch(r"nvidia-.*-cu12", name)}
    assert not unknown - cuda
    assert bool(cuda) == (image in GPU_IMAGES)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_what_its_extra_asks_for(image: str) -> None:
    have = {SAME.get(name, name): version for name, version in locked(image).items()}
    for one in [*map(Requirement, PROJECT["dependencies"]), *required(image)]:
        name = SAME.get(one.name, one.name)
        assert name in have, f"{one} is not locked: run `make lock`"
        assert have[name] in one.specifier, f"{name} {have[name]} is locked, not {one}: run `make lock`"


@pytest.mark.parametrize("image", ["train-tpu", *sorted(CPU_IMAGES | GPU_IMAGES)])
def test_one_build_of_tensorflow_is_in_an_image(image: str) -> None:
    builds = {name for name in locked(image) if name in {"tensorflow", "tensorflow-cpu", "tensorflow-tpu"}}
    expected = "tensorflow-tpu" if image == "train-tpu" else "tensorflow" if image in GPU_IMAGES else "tensorflow-cpu"
    assert builds == {expected}


# *adopt* reads the files of a folder; the module that does it reads the results of queries too, with pyarrow.
UNREACHED = {"evaluate": {"pyarrow"}}


@pytest.mark.parametrize(("image", "stages"), images_of_stages().items())
def test_an_image_holds_all_that_its_stages_import(image: str, stages: set[str]) -> None:
    have = {SAME.get(name, name) for name in locked(image)}
    distributions = packages_distributions()
    missing = {
        package
        for package in third_party(stages)
        if package not in {"google", *UNREACHED.get(image, ())}
        and not {canonicalize_name(name) for name in distributions[package]} & have
    }
    assert not missing


def test_the_small_set_of_a_laptop_has_the_tested_versions_and_one_tensorflow() -> None:
    small, whole = locked_in(ROOT / "requirements-laptop.txt"), locked("")
    assert small.pop("tensorflow-cpu") == whole["tensorflow"]
    assert "tensorflow" not in small
    assert small.items() <= whole.items()
    needed = {canonicalize_name(requirement.name) for requirement in required("laptop")}
    assert needed - {"tensorflow"} <= small.keys()


def test_the_build_tools_are_locked_and_agree_with_the_laptops_set() -> None:
    tools, laptop = locked_in(ROOT / "requirements-build.txt"), locked("")
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert {Requirement(one).name for one in backend} | {"setuptools", "wheel", "uv"} <= set(tools)
    assert {name: version for name, version in tools.items() if laptop.get(name, version) != version} == {}


def test_make_installs_nothing_without_a_locked_hash() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    [recipe] = re.findall(r"(?m)^\.venv/ready:.*\n((?:\t.*\n)+)", makefile)
    installs = [line for line in recipe.splitlines() if "pip install" in line]
    assert len(installs) == 3
    for line in installs[:2]:
        assert "--require-hashes" in line
    for line in installs[1:]:
        assert "--no-build-isolation" in line
    assert "--no-deps" in installs[2]


def test_the_site_of_the_documentation_has_a_lock_of_its_own() -> None:
    assert "zensical" in locked_in(ROOT / "requirements-docs.txt")
    assert "zensical" not in locked("")
