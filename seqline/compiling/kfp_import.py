"""`import kfp` in half the time.

kfp imports its client for servers, and that all of the Kubernetes client: a thousand modules, of which compiling a
pipeline and running it on a laptop use none. It also imports requests, which loads a component from a URL.
"""

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

CACHING_VARIABLE = "KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT"


def import_kfp() -> None:
    """Imports kfp without its client; `from kfp.client import Client` still imports that when it is wanted."""
    if "kfp" in sys.modules:
        return
    stand_in = ModuleType("kfp.client")
    stand_in.Client = None  # type: ignore[attr-defined]
    sys.modules[stand_in.__name__] = stand_in
    _import_when_used("requests")
    # kfp reads the default of caching from this variable: a spec would depend on who compiles it.
    variable = os.environ.pop(CACHING_VARIABLE, None)
    try:
        import kfp
        import kfp.dsl
    finally:
        del sys.modules[stand_in.__name__]
        if variable is not None:
            os.environ[CACHING_VARIABLE] = variable
    del kfp.Client


class _Later(ModuleType):
    """A module that is executed when one of its attributes is first used."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__loader__, self.__file__ = spec, spec.loader, spec.origin
        self.__package__ = spec.name

    def __getattr__(self, name: str) -> Any:
        # LazyLoader of importlib does this too, but executes the module at the next `import` already. An import of a
        # module below this one asks for `__path__`, and so executes this one first.
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__path__ = list(self.__spec__.submodule_search_locations or ())  # type: ignore[union-attr]
        self.__loader__.exec_module(self)  # type: ignore[union-attr]
        return getattr(self, name)


def _import_when_used(name: str) -> None:
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is not None and spec.loader is not None:
        sys.modules[name] = _Later(spec)
