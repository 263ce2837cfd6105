"""Compiled templates in `__pycache__`, like those of modules: jinja2 takes long to compile one."""

import contextlib
import sys
import tempfile
from pathlib import Path

from jinja2.bccache import Bucket, BytecodeCache


class TemplateBytecode(BytecodeCache):
    """Stores compiled templates where this package's own bytecode is; nowhere if that folder cannot be written to.

    jinja2 compares the template's content and the versions of Python and itself with those of the stored file.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path = Path(__file__).parent / "__pycache__") -> None:
        self.folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        """Reads a compiled template."""
        with contextlib.suppress(OSError), self._file(bucket).open("rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Writes a compiled template, in one step: several stages may render the same one."""
        if sys.dont_write_bytecode:
            return
        with contextlib.suppress(OSError):
            self.folder.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".template-") as folder:
                written = Path(folder) / "bytecode"
                written.write_bytes(bucket.bytecode_to_string())
                written.replace(self._file(bucket))

    def _file(self, bucket: Bucket) -> Path:
        return self.folder / f"template-{bucket.key}.{sys.implementation.cache_tag}"
