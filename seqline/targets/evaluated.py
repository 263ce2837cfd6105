"""Which model a task evaluates: cache keys of a laptop identify it by its content.

The challenger of one run is the champion of the next. The challenger is an artifact of its run and the champion an
address at the endpoint, in tasks with other names, so that kfp's own keys differ although the evaluation is the same.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqline.artifacts.opponent import Opponent

# Of a component's source: another package may have a stage of the same name.
STAGE = "from seqline.components.evaluate import"
BLOCK = 2**20
# Parameters in which champion and snapshot say whether there is a model.
FOUND = ("opponent", "pretrained")


def stage_of(component: str) -> str:
    """The stage of a component in a compiled pipeline: comp-evaluate-2 is evaluate.

    Args:
        component: The component's name.
    """
    return component.removeprefix("comp-").rstrip("-0123456789")


def has_no_model(arguments: Mapping[str, Any]) -> bool:
    """Whether a task only records that there is no model to export or to evaluate, for which it needs no TensorFlow.

    Args:
        arguments: The task's arguments.
    """
    found = (arguments.get(name) for name in FOUND)
    return any(isinstance(one, Mapping) and (one.get("standing") or one.get("problem")) for one in found)


def with_content(component: str, command: Sequence[str], arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What a task's cache key identifies: for an evaluation the stage and the model's content, else what was given.

    All other arguments stay, so that another corpus or other options are another key. `opponent` differs only in what
    happens if the model cannot be evaluated, and such an evaluation is not cached.

    Args:
        component: The name of the task's component.
        command: The task's command, with the component's source.
        arguments: Its arguments.
    """
    given = dict(arguments)
    if not any(STAGE in word for word in command) or has_no_model(given):
        return component, given
    model, opponent = given.get("model"), given.get("opponent")
    address = model.path if model else Opponent.from_parameter(opponent or {}).address
    folder = Path(address)
    if not address or not folder.is_dir():
        return component, given
    others = {name: value for name, value in given.items() if name not in ("model", "opponent")}
    return stage_of(component), {**others, "model": folder_digest(folder)}


def folder_digest(folder: Path) -> str:
    """The SHA-256 of a folder's files: their names, sizes and contents.

    Args:
        folder: The folder.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()
