"""`import kfp` in half the time.

kfp imports its client for servers, and that all of the Kubernetes client: a thousand modules, of which compiling a
pipeline and running it on a laptop use none.
"""

import os
import sys
from types import ModuleType

CACHING_VARIABLE = "KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT"


def import_kfp() -> None:
    """Imports kfp without its client; `from kfp.client import Client` still imports that when it is wanted."""
    if "kfp" in sys.modules:
        return
    stand_in = ModuleType("kfp.client")
    stand_in.Client = None  # type: ignore[attr-defined]
    sys.modules[stand_in.__name__] = stand_in
    # kfp reads the default of caching from this variable: a spec would depend on who compiles it.
    variable = os.environ.pop(CACHING_VARIABLE, None)
    try:
        import kfp
        import kfp.dsl
    finally:
        del sys.modules[stand_in.__name__]
        if variable is not None:
            os.environ[CACHING_VARIABLE] = variable
    del kfp.Client
