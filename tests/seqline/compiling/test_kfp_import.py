"""kfp is imported without its client, which is there when somebody wants it."""

import subprocess
import sys


def test_compiling_imports_no_kubernetes_client_and_the_client_is_still_to_be_had() -> None:
    code = (
        "import sys; from pathlib import Path; from seqline.compiling.compiler import stages; stages('batch'); "
        "print('kubernetes' in sys.modules, 'kfp.client' in sys.modules); "
        "from kfp.client import Client; print(Client.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False", "kfp.client.client"]
