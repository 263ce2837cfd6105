"""The commands that a run's report shows: run it again, and ask its endpoint."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqline.pipelines import PIPELINES
from seqline.targets.target import Run


def run_again(run: Run) -> str:
    """Returns the command that starts a run with the same parameters on this machine, on two or more lines.

    Args:
        run: A run on a laptop.
    """
    home = run.folder.parent.parent
    pipeline = run.pipeline.removeprefix("seqline-")
    words = [["seqline", "run", "--target", "laptop"]]
    if pipeline in PIPELINES:
        words[0] += ["--pipeline", pipeline]
    words.append(["--home", str(home)])
    for name, value in run.parameters.items():
        words += _flags(name, value, home)
    return " \\\n  ".join(shlex.join(line) for line in words)


def predict(run: Run, text: str) -> str:
    """Returns the command that sends a text to the run's endpoint.

    Args:
        run: A run on a laptop.
        text: The text.
    """
    home, folder = run.folder.parent.parent, Path(str(run.parameters.get("endpoint", "")))
    name = folder.name if folder.parent == home / "endpoints" else str(folder)
    return shlex.join(["seqline", "predict", text, "--endpoint", name, "--home", str(home)])


def _flags(name: str, value: Any, home: Path) -> Iterator[list[str]]:
    if name == "checkpoints" and value == str(home / "checkpoints"):
        return
    if name == "data" and value:
        yield ["--data", value]
    elif name == "endpoint" and value and Path(value).parent == home / "endpoints":
        yield ["--endpoint", Path(value).name]
    elif isinstance(value, dict) and value:
        for key, one in value.items():
            if (name, key) == ("serving", "port"):
                yield ["--port", str(one)]
            else:
                yield ["--set", _setting(f"{name}.{key}", one)]
    else:
        yield ["--set", _setting(name, value)]


def _setting(name: str, value: Any) -> str:
    return f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
