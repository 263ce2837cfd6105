"""Compiled pipelines of runs on this machine, which are compiled again only if something changed."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from seqline.atomic import atomic_write
from seqline.pipelines import PIPELINES


def compiled_once(pipeline: str, output: Path, identity: str, compile_: Callable[[], Path]) -> Path:
    """Compiles one of Seqline's own pipelines unless the file is there, as the same code and configuration wrote it.

    A pipeline of the user can depend on any module, so it is always compiled.

    Args:
        pipeline: As in `find_pipeline`.
        output: The YAML file.
        identity: What it depends on: the code, the versions of the libraries, and the configuration.
        compile_: Writes the file.

    Returns:
        The file's path.
    """
    if pipeline not in PIPELINES:
        return compile_()
    record = output.with_suffix(".sha256")
    try:
        if record.read_text(encoding="utf-8") == _digest(pipeline, identity, output):
            return output
    except (OSError, UnicodeDecodeError):
        pass
    record.unlink(missing_ok=True)
    compile_()
    atomic_write(record, _digest(pipeline, identity, output))
    return output


def _digest(pipeline: str, identity: str, file: Path) -> str:
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    return hashlib.sha256("\0".join((pipeline, identity, content)).encode()).hexdigest()
