"""kfp is imported without its client and without requests, which are there when somebody wants them."""

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


def test_kfp_imports_requests_when_it_is_used() -> None:
    code = (
        "import sys; from seqline.compiling.kfp_import import import_kfp; import_kfp(); "
        "import kfp.components.load_yaml_utilities as used, requests; "
        "print('requests.sessions' in sys.modules, used.requests is requests); "
        "print(used.requests.get.__module__, requests.__version__ > '2'); "
        "from requests.exceptions import HTTPError; print(issubclass(HTTPError, requests.RequestException))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False True", "requests.api True", "True"]


def test_a_module_of_requests_is_imported_before_requests_was_used() -> None:
    code = (
        "from seqline.compiling.kfp_import import import_kfp; import_kfp(); "
        "import requests.adapters; print(requests.adapters.HTTPAdapter.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "HTTPAdapter\n"
