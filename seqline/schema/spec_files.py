"""Reads compiled pipelines, which are large: libyaml parses one in a tenth of the time of PyYAML's own parser."""

from collections.abc import Iterator
from typing import Any

import yaml


def read_documents(text: str | bytes) -> Iterator[Any]:
    """Parses the documents of a compiled pipeline: its spec, and perhaps settings of a platform.

    Args:
        text: The file's content.

    Raises:
        yaml.YAMLError: If it is not YAML.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    yield from yaml.load_all(text, Loader=loader)
