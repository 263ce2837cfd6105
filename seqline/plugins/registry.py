"""Finds plugins among the entry points of installed packages: one mechanism for every kind.

Nothing of a package is imported before a run uses its plugin by name.
"""

import hashlib
import importlib
import importlib.util
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from seqline.errors import UserError
from seqline.names import nearest
from seqline.plugins.contracts import (
    MARK,
    ArchitecturePlugin,
    MetricPlugin,
    NotifierPlugin,
    Plugin,
    RulePlugin,
    TargetPlugin,
)

Kind = TypeVar("Kind", bound=Plugin)


@dataclass(frozen=True)
class Source:
    """Where a plugin comes from.

    Attributes:
        entry: The entry point.
    """

    entry: EntryPoint

    @property
    def distribution(self) -> str:
        """Name and version of the package, as pip writes them."""
        found = self.entry.dist
        return f"{found.name}=={found.version}" if found else "an unknown package"

    @property
    def file(self) -> str:
        """The file of the entry point's module; found without importing it."""
        *parents, name = self.entry.module.split(".")
        try:
            if not parents:
                found = importlib.util.find_spec(name)
                return (found and found.origin) or "no file"
            top = importlib.util.find_spec(parents[0])
            for folder in (top and top.submodule_search_locations) or ():
                path = Path(folder, *parents[1:], name)
                for candidate in (path.with_suffix(".py"), path / "__init__.py"):
                    if candidate.is_file():
                        return str(candidate)
        except (ImportError, ValueError):
            pass
        return "no file"

    @property
    def digest(self) -> str:
        """16 digits over the files of the package that the module belongs to; of a lone module over its file."""
        top = importlib.util.find_spec(self.entry.module.partition(".")[0])
        folders = list((top and top.submodule_search_locations) or ())
        files = {path.relative_to(folder).as_posix(): path for folder in folders for path in Path(folder).rglob("*")}
        if top is not None and not folders and top.origin:
            files = {Path(top.origin).name: Path(top.origin)}
        digest = hashlib.sha256()
        for name in sorted(name for name, path in files.items() if path.is_file() and "__pycache__" not in path.parts):
            digest.update(f"{name}\n".encode())
            digest.update(files[name].read_bytes())
        return digest.hexdigest()[:16]

    def __str__(self) -> str:
        text = f"{self.entry.group}: {self.entry.name} = {self.entry.value}"
        return f"entry point {text!r} of {self.distribution}, {self.file}"


class Registry(Generic[Kind]):
    """The plugins of one kind.

    Args:
        group: The group of entry points.
        contract: What its plugins declare.
        built_in: Where the names of Seqline's own are, as `module:name`, which no plugin may take.
        in_images: Whether stages use them.
    """

    def __init__(self, group: str, contract: type[Kind], built_in: str, in_images: bool = True) -> None:
        self.group, self.contract, self._built_in, self._in_images = group, contract, built_in, in_images
        self._loaded: dict[EntryPoint, Kind] = {}

    @property
    def word(self) -> str:
        """What its plugins are called in messages."""
        return self.contract.DECORATOR

    def sources(self) -> dict[str, Source]:
        """The installed plugins by name.

        Raises:
            UserError: If two have the same name, or one has the name of a built-in.
        """
        return named(self.group, self.word, _names(self._built_in))

    def find(self, name: str, others: Iterable[str] = ()) -> Kind:
        """Imports a plugin and checks it against its contract.

        Args:
            name: Its name.
            others: Names of built-ins, for the hint about a wrong name.

        Raises:
            UserError: If no installed package has it, or it cannot be imported or does not fit its contract; the
                message names the package, the entry point and the file.
        """
        source = self.source(name, others)
        if source.entry not in self._loaded:
            self._loaded[source.entry] = self._load(source)
        return self._loaded[source.entry]

    def source(self, name: str, others: Iterable[str] = ()) -> Source:
        """Returns where a plugin comes from, without importing it.

        Args:
            name: Its name.
            others: Names of built-ins, for the hint about a wrong name.

        Raises:
            UserError: If no installed package has it.
        """
        found = self.sources()
        if name not in found:
            known = [*others, *found]
            hint = nearest(name, known) if known else "no installed package has one"
            images = ", and in the images: `seqline images build --with PACKAGE`" if self._in_images else ""
            raise UserError(
                f"there is no {self.word} {name!r}; {hint} (a plugin's package must be installed here{images})"
            )
        return found[name]

    def fingerprint(self, name: str) -> str:
        """Identifies a plugin's package and code, for cache keys: the same wheel gives the same text everywhere.

        Args:
            name: The plugin's name.
        """
        source = self.source(name)
        return f"{source.distribution} {source.digest}"

    def fingerprints(self, names: Iterable[str]) -> dict[str, str]:
        """Identifies the plugins among some names; built-ins are left out.

        Args:
            names: Names of plugins and of built-ins.
        """
        added = sorted(set(names) - set(_names(self._built_in)))
        return {name: self.fingerprint(name) for name in added}

    def require(self, stage: str, fingerprints: Mapping[str, str]) -> None:
        """Checks that a stage has the plugins that snapshot saw.

        Args:
            stage: The stage's name, for the message.
            fingerprints: From `fingerprints`, in the process of snapshot.

        Raises:
            UserError: If a plugin is missing here, or is other code.
        """
        for name, wanted in fingerprints.items():
            found = self.sources()
            package = wanted.partition(" ")[0]
            if name not in found:
                raise UserError(
                    f"{stage} needs the {self.word} {name!r} of {package}, which is not installed here: build this "
                    f"stage's image with it, `seqline images build --with {package}`, or on a laptop `pip install "
                    f"{package}`"
                )
            if (here := self.fingerprint(name)) != wanted:
                raise UserError(
                    f"{stage} has the {self.word} {name!r} of {here}, but the run was checked with {wanted}: build all "
                    f"images with the same package, `seqline images build --with {package}`, and start the run again"
                )

    def _load(self, source: Source) -> Kind:
        try:
            found = source.entry.load()
        except (Exception, SystemExit) as error:
            place = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source.file]
            line = f", line {place[-1].lineno}" if place else ""
            raise UserError(
                f"the {self.word} {source.entry.name!r} cannot be imported ({source}{line}): {type(error).__name__}: "
                f"{error}; install what it needs, correct it, or uninstall {source.distribution}"
            ) from error
        declared = getattr(found, MARK, None)
        if not isinstance(declared, self.contract):
            raise UserError(
                f"{source} is not decorated with @{self.word}(...) of seqline.plugins: it is {type(found).__name__}"
            )
        problems = list(declared.problems())
        if declared.name != source.entry.name:
            problems.append(f"its name is {declared.name!r}, and the entry point's {source.entry.name!r}: use one")
        if problems:
            raise UserError(f"the {self.word} {source.entry.name!r} is invalid ({source}): {'; '.join(problems)}")
        return declared


@cache
def _installed() -> Any:
    return entry_points()


@cache
def _unique(group: str, word: str, built_in: frozenset[str]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for source in map(Source, _installed().select(group=group)):
        name = source.entry.name
        if name in built_in:
            raise UserError(
                f"{source} has the name of a built-in {word}; rename it, or uninstall {source.distribution}"
            )
        if name in found:
            raise UserError(
                f"two plugins have the name {name!r}: {found[name]}, and {source}; rename one, or uninstall its package"
            )
        found[name] = source
    return found


def _names(place: str) -> Iterable[str]:
    module, _, name = place.partition(":")
    found: Iterable[str] = getattr(importlib.import_module(module), name)
    return found


def named(group: str, word: str, built_in: Iterable[str]) -> dict[str, Source]:
    """The entry points of a group by name.

    Args:
        group: The group.
        word: What one is called in messages.
        built_in: Seqline's own names, which none may have.

    Raises:
        UserError: If two have the same name, or one has a name of Seqline's own.
    """
    return _unique(group, word, frozenset(built_in))


METRICS = Registry("seqline.metrics", MetricPlugin, "seqline.metrics.metrics:METRICS")
RULES = Registry("seqline.rules", RulePlugin, "seqline.components.tokenize.rules:RULES")
ARCHITECTURES = Registry("seqline.architectures", ArchitecturePlugin, "seqline.modeling.config:ARCHITECTURES")
NOTIFIERS = Registry("seqline.notifiers", NotifierPlugin, "seqline.components.summary.options:FORMATS")
TARGETS = Registry("seqline.targets", TargetPlugin, "seqline.targets:TARGETS", in_images=False)
REGISTRIES: tuple[Registry[Any], ...] = (METRICS, RULES, ARCHITECTURES, NOTIFIERS, TARGETS)


def check_installed() -> None:
    """Checks that no two plugins have one name, and that none has a built-in's.

    Raises:
        UserError: With the first two.
    """
    for registry in REGISTRIES:
        registry.sources()
