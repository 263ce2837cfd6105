"""Imports of large libraries without garbage collections, which take a fifth of the time of `import tensorflow`.

Every collection looks through the millions of objects that the imports make and that stay.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Collects no garbage within the block."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
