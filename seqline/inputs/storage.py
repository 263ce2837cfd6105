"""Folders of models, local or in a bucket."""

import os
from typing import Any


def open_folder(address: str) -> tuple[Any, str]:
    """Returns the file system of a folder, of fsspec, and the folder's path there.

    Args:
        address: A path or a URL such as gs://.
    """
    # Otherwise gcsfs first requests each bucket's type over gRPC, which takes a minute where gRPC is blocked.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    from fsspec.core import url_to_fs

    files, root = url_to_fs(address.rstrip("/"))
    return files, root
