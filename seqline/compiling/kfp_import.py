"""`import kfp` in half the time.

kfp imports its client for servers, and that all of the Kubernetes client: a thousand modules, of which compiling a
pipeline and running it on a laptop use none.
"""

import sys
from types import ModuleType


def import_kfp() -> None:
    """Imports kfp without its client; `from kfp.client import Client` still imports that when it is wanted."""
    if "kfp" in sys.modules:
        return
    stand_in = ModuleType("kfp.client")
    stand_in.Client = None  # type: ignore[attr-defined]
    sys.modules[stand_in.__name__] = stand_in
    try:
        import kfp
    finally:
        del sys.modules[stand_in.__name__]
    del kfp.Client
