"""TensorFlow for a process that only loads and runs SavedModels: its public API is imported as far as it is used.

`import tensorflow` imports three thousand modules, most of them for `tf.compat.v1`, `tf.lite`, `tf.distribute` and
Keras, and a server that starts waits seconds for them. A SavedModel needs a third of them.
"""

import importlib.util
import os
import re
import sys
import threading
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

# Lines of tensorflow/__init__.py, which is generated, each with one name of the API.
NAMES = re.compile(r"^from (tensorflow\.[\w.]+) import (\w+)(?: as (\w+))?", re.MULTILINE)


def import_lean() -> None:
    """Makes `import tensorflow` lean in this process; does nothing if TensorFlow was imported before.

    A name of the API is imported when it is first used. One that is not found so, such as `tf.keras`, imports all of
    TensorFlow. Gradients are registered only then: training needs the whole import.
    """
    if "tensorflow" in sys.modules:
        return
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        return  # the import that follows says that it is missing
    found = NAMES.findall(Path(spec.origin).read_text(encoding="utf-8"))
    names = {alias or name: (module, name) for module, name, alias in found}
    if "saved_model" not in names:
        return  # another layout
    sys.modules["tensorflow"] = _Lean(spec, names)
    # As tensorflow/__init__.py does.
    os.environ["TF2_BEHAVIOR"] = "1"
    from tensorflow.python import pywrap_tensorflow, tf2  # noqa: F401 (loads the runtime)

    tf2.enable()
    from tensorflow.python.compat import v2_compat

    v2_compat.enable_v2_behavior()


def load_text_ops() -> None:
    """Registers the ops of tensorflow-text; its Python modules, which import Keras, only if TensorFlow is not lean."""
    spec = importlib.util.find_spec("tensorflow_text")
    if spec is None or spec.origin is None or not isinstance(sys.modules.get("tensorflow"), _Lean):
        import tensorflow_text  # noqa: F401

        return
    from tensorflow.python.framework import load_library

    load_library.load_library(str(Path(spec.origin).parent / "python" / "ops"))


class _Lean(types.ModuleType):
    """The module `tensorflow`.

    Args:
        spec: Its specification.
        names: The module of each name of the API, and the name there.
    """

    def __init__(self, spec: ModuleSpec, names: dict[str, tuple[str, str]]) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__file__, self.__package__ = spec, spec.origin, spec.name
        self.__path__ = list(spec.submodule_search_locations or ())
        self._names, self._completing = names, threading.RLock()

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            module, original = self._names[name]
            value = getattr(importlib.import_module(module), original, None)
            if value is None:  # a module that its package has not imported
                value = importlib.import_module(f"{module}.{original}")
            setattr(self, name, value)
            return value
        if name.startswith("__"):  # asked for by the import system and by inspect
            raise AttributeError(f"module 'tensorflow' has no attribute {name!r}")
        with self._completing:
            if isinstance(self, _Lean) and self.__spec__ is not None and self.__spec__.loader is not None:
                self.__class__ = types.ModuleType  # type: ignore[assignment]
                self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def set_threads(intra: int, inter: int) -> None:
    """Sets the sizes of TensorFlow's thread pools, before it computes anything.

    Args:
        intra: Threads of an operation.
        inter: Operations at a time.
    """
    if is_lean():  # `tf.config` imports half of TensorFlow, and sets these two
        from tensorflow.python.eager import context

        context.context().intra_op_parallelism_threads = intra
        context.context().inter_op_parallelism_threads = inter
        return
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(intra)
    tf.config.threading.set_inter_op_parallelism_threads(inter)


def is_lean() -> bool:
    """Whether `import tensorflow` is lean in this process."""
    return isinstance(sys.modules.get("tensorflow"), _Lean)
