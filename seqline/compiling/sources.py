"""Where pipelines are: our own, those of installed packages, one in a module, or one in a file.

| name                    | pipeline                                                      |
|-------------------------|---------------------------------------------------------------|
| training                | a key of `seqline.pipelines.PIPELINES`                        |
| nightly                 | an entry point in the group `seqline.pipelines` of a package  |
| my_package.dag:training | the attribute of a module                                     |
| path/to/dag.py          | the one pipeline of a file; with several, path/to/dag.py:name |
"""

import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from seqline.compiling.kfp_import import import_kfp
from seqline.errors import UserError
from seqline.names import nearest
from seqline.paths import expanded
from seqline.pipelines import PIPELINES
from seqline.plugins.registry import named

GROUP = "seqline.pipelines"
FORMS = "a name, MODULE:NAME such as my_package.dag:training, or a file such as path/to/dag.py"


def known_pipelines() -> list[str]:
    """The names of our own pipelines and of installed packages'."""
    return [*PIPELINES, *named(GROUP, "pipeline", PIPELINES)]


def find_pipeline(name: str) -> Any:
    """Imports a pipeline.

    Args:
        name: In one of the forms of this module's description.

    Raises:
        UserError: If there is none, or what is there cannot be imported or is no pipeline.
    """
    import_kfp()
    if name in PIPELINES:
        return getattr(importlib.import_module(PIPELINES[name]), name)
    file, _, attribute = name.partition(".py:")
    if name.endswith(".py") or (attribute and ".py:" in name):
        path = expanded(f"{file.removesuffix('.py')}.py").resolve()
        if not path.is_file():
            raise UserError(f"--pipeline {name}: there is no file {path}; write {FORMS}")
        return _graph(_executed(path, path.stat().st_mtime_ns), attribute, f"--pipeline {name}")
    if ":" in name:
        module, _, attribute = name.partition(":")
        return _of_module(module, attribute, f"--pipeline {name}")
    found = named(GROUP, "pipeline", PIPELINES)
    if name not in found:
        raise UserError(f"no pipeline is called {name!r}; {nearest(name, [*PIPELINES, *found])} (or write {FORMS})")
    entry = found[name].entry
    return _of_module(entry.module, entry.attr, str(found[name]))


def spec_name(pipeline: str) -> str:
    """A name of files for a pipeline: `my_package.dag:training` is my_package.dag-training.

    Args:
        pipeline: As in `find_pipeline`.
    """
    return re.sub(r"[^\w.-]+", "-", pipeline.removesuffix(".py")).strip("-.") or "pipeline"


def source_of(name: str) -> str:
    """Returns the source of one of our own pipelines, which compiles from any other file to the same spec.

    Args:
        name: A key of `PIPELINES`.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in PIPELINES:
        raise UserError(f"no pipeline of Seqline is called {name!r}; {nearest(name, PIPELINES)}")
    found = importlib.util.find_spec(PIPELINES[name])
    assert found is not None  # noqa: S101 (a test imports all of them)
    assert found.origin is not None  # noqa: S101
    return Path(found.origin).read_text(encoding="utf-8")


def _of_module(module: str, attribute: str, origin: str) -> Any:
    with _importing(Path.cwd()):
        made = _imported(lambda: importlib.import_module(module), origin, module)
    return _graph(made, attribute, origin)


@cache
def _executed(path: Path, _: int) -> ModuleType:
    """Runs a file once for each time at which it was changed."""
    spec = importlib.util.spec_from_file_location(f"seqline_dag_{spec_name(path.stem)}", path)
    assert spec is not None  # noqa: S101 (the file ends in .py)
    assert spec.loader is not None  # noqa: S101
    made = importlib.util.module_from_spec(spec)
    # KFP reads a component's source, which inspect finds by the module.
    sys.modules[spec.name] = made
    # As `python path/to/dag.py` does: the modules beside it can be imported.
    with _importing(path.parent):
        _imported(lambda: spec.loader.exec_module(made), "--pipeline", str(path))  # type: ignore[union-attr]
    return made


@contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """Lets modules of a folder be imported that no installed package has; a console script does not look there."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _imported(load: Callable[[], Any], origin: str, what: str) -> Any:
    try:
        return load()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
        frames = [frame for frame in frames if frame.filename != __file__]
        where = f", {frames[-1].filename} line {frames[-1].lineno}" if frames else ""
        if isinstance(error, SyntaxError):
            where = f", {error.filename} line {error.lineno}"
        raise UserError(f"{origin}: {what} cannot be imported{where}: {type(error).__name__}: {error}") from error


def _graph(module: ModuleType, attribute: str, origin: str) -> Any:
    from kfp.dsl.graph_component import GraphComponent

    found = {name: one for name, one in vars(module).items() if isinstance(one, GraphComponent)}
    if attribute:
        if attribute in found:
            return found[attribute]
        if hasattr(module, attribute):
            raise UserError(f"{origin}: {attribute} is not a pipeline; decorate it with @dsl.pipeline")
        hint = nearest(attribute, found) if found else "it has no pipeline: decorate a function with @dsl.pipeline"
        raise UserError(f"{origin}: there is no {attribute} in {module.__file__}; {hint}")
    # A pipeline that the file imports, to call it, is not the file's own.
    own = {name: one for name, one in found.items() if one.pipeline_func.__module__ == module.__name__}
    chosen = own or found
    if len(chosen) != 1:
        hint = f"choose one: {', '.join(f'{module.__file__}:{name}' for name in chosen)}"
        hint = hint if chosen else "decorate a function with @dsl.pipeline"
        raise UserError(f"{origin}: the file has {len(chosen) or 'no'} pipelines; {hint}")
    return next(iter(chosen.values()))
