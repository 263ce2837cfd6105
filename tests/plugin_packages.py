"""Packages with plugins, installed for a test as pip installs them: modules beside a folder of metadata."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import tomllib

from seqline.plugins import registry


def write_package(site: Path, name: str, version: str, code: str, plugins: Mapping[str, str]) -> Path:
    """Writes a package `name` with plugins: "kind:plugin" by its name within the package. Returns its module's file."""
    module = name.replace("-", "_")
    (site / module).mkdir(parents=True, exist_ok=True)
    file = site / module / "__init__.py"
    file.write_text(code, encoding="utf-8")
    groups: dict[str, dict[str, str]] = {}
    for key, value in plugins.items():
        group, _, plugin = key.partition(":")
        groups.setdefault(f"seqline.{group}", {})[plugin] = f"{module}:{value}"
    _write_metadata(site, name, version, groups)
    return file


def files_of_the_page() -> dict[str, str]:
    """The files of the project in docs/extending.md, by name: a part titled "NAME, add" comes after the others."""
    page = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    files: dict[str, str] = {}
    for title, content in re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', page, re.MULTILINE | re.DOTALL):
        name, _, added = title.partition(", ")
        assert bool(added) == (name in files)
        files[name] = f"{files[name]}\n{content}" if added else content
    return files


def write_project_of_the_page(site: Path) -> None:
    """Writes that project as pip installs it."""
    files = files_of_the_page()
    for name, content in files.items():
        if name.startswith("my_plugin/"):
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(content, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    _write_metadata(site, project["name"], project["version"], project["entry-points"])


def _write_metadata(site: Path, name: str, version: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        line
        for group, plugins in groups.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in plugins.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")


@contextmanager
def installed(site: Path) -> Iterator[None]:
    """Makes the packages of a folder importable within the block."""
    sys.path.insert(0, str(site))
    before = set(sys.modules)
    forget()
    try:
        yield
    finally:
        sys.path.remove(str(site))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(site)):
                del sys.modules[name]
        forget()


def forget() -> None:
    """Lets the next look-up read the installed packages again."""
    registry._installed.cache_clear()
    registry._unique.cache_clear()
    for kind in registry.REGISTRIES:
        kind._loaded.clear()
