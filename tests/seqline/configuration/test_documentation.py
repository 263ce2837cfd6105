"""The examples of the documentation are valid."""

import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqline.checking.kubeflow import checkpoint_problems
from seqline.compiling.compiler import parameters_of
from seqline.configuration import load
from seqline.configuration.arguments import read_arguments
from seqline.schema.renamed import RENAMED
from seqline.schema.sections import SECTIONS
from seqline.targets.kubeflow.versions import FEATURES, shown
from tests.plugin_packages import installed, write_project_of_the_page

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}(?: [^\n]*)?\n(.*?)^```", text_of(page))


@pytest.mark.parametrize(
    "page", ["configuration", "google-cloud-from-zero", "kubeflow", "notifications", "schedules", "vertex"]
)
def test_a_configuration_is_valid_with_its_parameters(page: str, tmp_path: Path) -> None:
    files = []
    for number, text in enumerate(blocks(f"docs/{page}.md", "yaml")):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(text.replace("sha256:...", f"sha256:{'0' * 64}"))
    loaded = load(files)
    targets = loaded.configuration.targets
    for name, settings in loaded.configuration.schedules.items():
        loaded.arguments(parameters_of("training"), settings.target, name)
    for name in loaded.configuration.triggers:
        loaded.arguments(parameters_of("training"), "vertex", trigger=name)
    for target in ("laptop", "kubeflow", "vertex"):
        if getattr(targets, target) is not None:
            loaded.arguments(parameters_of("training"), target)


def test_the_first_run_on_kubeflow_has_a_valid_configuration(tmp_path: Path) -> None:
    (text,) = re.findall(r"(?ms)^   ```yaml\n(.*?)^   ```", text_of("docs/kubeflow-from-zero.md"))
    file = tmp_path / "seqline.yaml"
    file.write_text(textwrap.dedent(text))
    loaded = load([file])
    arguments = loaded.arguments(parameters_of("training"), "kubeflow")
    assert list(checkpoint_problems(loaded, arguments, "training")) == []
    assert loaded.configuration.targets.kubeflow
    assert loaded.configuration.targets.kubeflow.pod("train").claims == {"/checkpoints": "seqline-checkpoints"}


def test_the_versions_of_kubeflows_features_are_those_that_doctor_compares() -> None:
    rows = re.findall(r"(?m)^\| (\d+\.\d+\.\d+) \|", text_of("docs/kubeflow.md"))
    assert rows == [shown(feature.since) for feature in FEATURES]


@pytest.mark.parametrize("page", ["gate", "human-evaluation"])
def test_the_rules_are_valid(page: str) -> None:
    (text,) = blocks(f"docs/{page}.md", "yaml")
    assert read_arguments(parameters_of("training"), yaml.safe_load(text)).faults == []


def test_the_changelog_shows_a_valid_configuration() -> None:
    (text,) = blocks("CHANGELOG.md", "yaml")
    new = yaml.safe_load("\n".join(line[33:] for line in text.splitlines()))
    assert read_arguments(parameters_of("training"), new["parameters"]).faults == []


def test_what_to_paste_into_a_console_is_valid_for_every_section() -> None:
    pasted = dict(re.findall(r"(?m)^\| `(\w+)`.* \| `([{\[].*[}\]])` \|$", text_of("docs/console.md")))
    assert set(pasted) == set(SECTIONS)
    for name, value in pasted.items():
        SECTIONS[name].resolve(json.loads(value), {})


def settings() -> list[Any]:
    """The pipeline and the `--set` of every command in the documentation, and those in its sentences."""
    found = []
    for page in PAGES:
        inline = re.findall(r"`--set (?!name=value)([^`]+)`", page.read_text(encoding="utf-8"))
        found += [pytest.param("training", shlex.split(text), id=f"{page.name}: {text}"[:60]) for text in inline]
        for block in blocks(str(page.relative_to(ROOT)), "console"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                given = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
                if given and "predict" not in words:
                    name = words[words.index("--pipeline") + 1] if "--pipeline" in words else "training"
                    found.append(pytest.param(name, given, id=f"{page.name}: {' '.join(given)}"[:60]))
    return found


@pytest.fixture(scope="module")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The project of docs/extending.md, installed."""
    site = tmp_path_factory.mktemp("site")
    write_project_of_the_page(site)
    with installed(site):
        yield


@pytest.mark.parametrize(("pipeline", "given"), settings())
def test_a_command_sets_valid_options(
    pipeline: str, given: list[str], extensions: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parameters = [setting for setting in given if not setting.startswith("targets.vertex.")]
    load([], parameters).arguments(parameters_of(pipeline), "laptop")


def test_the_changelog_lists_every_renamed_option() -> None:
    changelog = text_of("CHANGELOG.md")
    assert [old for old in RENAMED if f"`{old}`" not in changelog] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\w\]\(([^)#:\s]*(?:#[\w-]+)?)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text(encoding="utf-8")), target


def anchors(page: str) -> set[str]:
    """Addresses of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
