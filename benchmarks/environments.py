"""Environments of the peers: each in a virtual environment of its own, made once and kept."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from seqline.atomic import atomic_write
from seqline.errors import UserError

FOLDER = Path(".benchmarks")


def environment(name: str, requirements: list[str]) -> Path:
    """Makes a virtual environment, or finds the one that was made before.

    Args:
        name: Whose it is, such as "opennmt-tf".
        requirements: What to install, exactly pinned, so that two runs measure the same.

    Returns:
        Its Python.

    Raises:
        UserError: If a requirement cannot be installed.
    """
    identity = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:8]
    folder = (FOLDER / f"{name}-{identity}").resolve()
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists():
        return python
    print(f"installing {name}: {' '.join(requirements)}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, folder],
        [uv, "pip", "install", "--quiet", "--python", python, *requirements],
    ):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"the environment of {name} cannot be installed:\n{done.stderr.strip()}")
    atomic_write(ready, "\n".join(requirements) + "\n")
    return python
