"""TensorFlow for the workers of servers under test: it is imported in a tenth of a second, not in several.

Its SavedModel is the name of a function below. See tests/light_models.py.
"""

import gc
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

__version__ = "stand-in"
string = "string"
config = SimpleNamespace(
    threading=SimpleNamespace(
        set_intra_op_parallelism_threads=lambda count: None, set_inter_op_parallelism_threads=lambda count: None
    )
)


def constant(value: Any, dtype: Any = None) -> Any:
    """Returns the value: there are no tensors."""
    return value


def upper(text: str, folder: Path) -> str:
    """Upper case."""
    return text.upper()


def lower(text: str, folder: Path) -> str:
    """Lower case."""
    return text.lower()


def broken(text: str, folder: Path) -> str:
    """Fails for every text."""
    raise RuntimeError("this model is broken")


def gated(text: str, folder: Path) -> str:
    """Lower case; a text with "slow" is answered once the file `open` is in the model's folder."""
    while "slow" in text and not (folder / "open").exists():
        time.sleep(0.005)
    return text.lower()


def hanging(text: str, folder: Path) -> str:
    """Upper case; never answers a text with "hang" while the file `hang` is in the model's folder."""
    while "hang" in text and (folder / "hang").exists():
        time.sleep(3600)
    return text.upper()


def endless(text: str, folder: Path) -> str:
    """Never answers, so it never loads."""
    while True:
        time.sleep(3600)


def memory(text: str, folder: Path) -> str:
    """How the process handles its memory, as JSON."""
    faults = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [b"x" * (8 << 20) for _ in range(4)]
        del blocks
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    kept = faults[1] < 1000
    return json.dumps({"frozen": gc.get_freeze_count() > 0, "threshold": gc.get_threshold()[0], "kept": kept})


class _Tensor:
    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def numpy(self) -> Any:
        return np.array(self._values, dtype=object)


def _load(path: str) -> SimpleNamespace:
    folder = Path(path)
    change: Callable[[str, Path], str] = globals()[(folder / "saved_model.pb").read_text()]

    def serve(text: list[str]) -> dict[str, _Tensor]:
        return {"text": _Tensor([change(one, folder).encode() for one in text]), "score": _Tensor([0.0] * len(text))}

    return SimpleNamespace(signatures={"serving_default": serve})


saved_model = SimpleNamespace(load=_load)
