"""Packages with plugins, installed for a test as pip installs them: modules beside a folder of metadata."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from seqline.plugins import registry


def write_package(site: Path, name: str, version: str, code: str, plugins: Mapping[str, str]) -> Path:
    """Writes a package `name` with plugins: "kind:plugin" by its name within the package. Returns its module's file."""
    module = name.replace("-", "_")
    (site / module).mkdir(parents=True, exist_ok=True)
    file = site / module / "__init__.py"
    file.write_text(code, encoding="utf-8")
    metadata = site / f"{module}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups: dict[str, list[str]] = {}
    for key, value in plugins.items():
        group, _, plugin = key.partition(":")
        groups.setdefault(group, []).append(f"{plugin} = {module}:{value}")
    text = "".join(f"[seqline.{group}]\n" + "".join(f"{line}\n" for line in lines) for group, lines in groups.items())
    (metadata / "entry_points.txt").write_text(text)
    return file


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
