"""Finds resources that lack the key or the labels of the configuration."""

from collections.abc import Iterator, Mapping
from typing import Any

import proto


def lacking(message: Any, key: str, labels: Mapping[str, str], path: str = "") -> list[str]:
    """Names the resources in a request that have not the key or all labels, though their type has such a field.

    Args:
        message: The request, or a resource.
        key: The customer-managed key.
        labels: The labels.
        path: Where it is, for the answer.
    """
    found, fields = [], type(message).meta.fields
    if path and "encryption_spec" in fields and message.encryption_spec.kms_key_name != key:
        found.append(f"{path}.encryption_spec")
    if path and "labels" in fields and not labels.items() <= dict(message.labels).items():
        found.append(f"{path}.labels")
    return found + [one for name, value in _below(message) for one in lacking(value, key, labels, f"{path}.{name}")]


def _below(message: Any) -> Iterator[tuple[str, Any]]:
    for name, field in type(message).meta.fields.items():
        if field.proto_type == proto.MESSAGE and name in message:
            value = getattr(message, name)
            for one in value if field.repeated else [value]:
                if isinstance(one, proto.Message):
                    yield name, one
