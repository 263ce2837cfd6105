"""Reads compiled pipelines, which are large: libyaml parses one in a tenth of the time of PyYAML's own parser."""

import pickle
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml


def read_documents(text: str | bytes) -> Iterator[Any]:
    """Parses the documents of a compiled pipeline: its spec, and perhaps settings of a platform.

    Args:
        text: The file's content.

    Raises:
        yaml.YAMLError: If it is not YAML.
    """
    yield from pickle.loads(_parsed(text))  # noqa: S301 (of this process)


@lru_cache(maxsize=2)
def _parsed(text: str | bytes) -> bytes:
    """The documents pickled: a run reads its spec five times, and each reader may change what it gets."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return pickle.dumps(list(yaml.load_all(text, Loader=loader)))
