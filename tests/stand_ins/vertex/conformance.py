"""What Vertex demands beyond the schema: required fields, enum values, patterns of names and labels."""

import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import proto
from google.protobuf.descriptor import FieldDescriptor

from tests.stand_ins.server import ApiError

REQUIRED = re.compile(r"^    {1,8}(\w+) \([^\n]*\):\n\s+Required\.", re.MULTILINE)
KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
LABEL = re.compile(r"[a-z0-9_-]{0,63}")
# A number that is 0 is indistinguishable from a missing one; the services check those themselves.
TELLABLE = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_MESSAGE}


@cache
def required(message: type[proto.Message]) -> frozenset[str]:
    """Fields that the service's own description calls required."""
    return frozenset(REQUIRED.findall(inspect.getdoc(message) or "") or REQUIRED.findall(message.__doc__ or ""))


def validate(message: Any, path: str = "") -> None:
    """Refuses a request that lacks a required field, has an unknown enum value, or a bad name or label.

    Args:
        message: The request, a proto-plus message.
        path: Where it is, for the error.

    Raises:
        ApiError: 400 naming the field.
    """
    kind = type(message)
    raw = kind.pb(message)
    present = {field.name for field, _ in raw.ListFields()}
    for name in sorted(required(kind) - present):
        field = raw.DESCRIPTOR.fields_by_name.get(name)
        if field is not None and (field.type in TELLABLE or field.is_repeated):
            raise ApiError(400, f"Required field is not set: {path}{name}")
    for field, value in raw.ListFields():
        where = f"{path}{field.name}"
        if field.type == FieldDescriptor.TYPE_ENUM:
            for number in value if field.is_repeated else [value]:
                if number not in field.enum_type.values_by_number:
                    raise ApiError(400, f"Invalid value at '{where}' ({field.enum_type.name}), {number}")
        if field.name == "labels":
            _check_labels(value, where)
        if field.name == "display_name" and len(value) > 128:
            raise ApiError(400, f"{where} has {len(value)} characters; at most 128 are allowed")
    for name, value in _below(message):
        validate(value, f"{path}{name}.")


def check_keys(message: Any) -> None:
    """Refuses a key of another region than the resource's: aiplatform_v1/types/encryption_spec.py.

    Args:
        message: A request with a parent.

    Raises:
        ApiError: 400 naming the key.
    """
    location = str(getattr(message, "parent", "")).rpartition("/")[2]
    for key in _keys(message):
        found = KEY.fullmatch(key)
        if not found or found[1] != location:
            raise ApiError(400, f"encryption_spec.kms_key_name: {key!r} is not a key in {location}")


def _keys(message: Any) -> Iterator[str]:
    for name, value in _below(message):
        if name == "encryption_spec":
            yield value.kms_key_name
        yield from _keys(value)


def _check_labels(labels: Any, where: str) -> None:
    if len(labels) > 64:
        raise ApiError(400, f"{where} has {len(labels)} entries; at most 64 are allowed")
    for key, value in labels.items():
        if not LABEL.fullmatch(key) or not LABEL.fullmatch(value) or not key[:1].isalpha():
            raise ApiError(400, f"{where} has the invalid entry {key!r}: {value!r}")


def _below(message: Any) -> Iterator[tuple[str, Any]]:
    """The messages inside a message, with the names of their fields."""
    for name, field in type(message).meta.fields.items():
        if field.proto_type != proto.MESSAGE or name not in message:
            continue
        value = getattr(message, name)
        values = value if field.repeated else [value]
        if isinstance(value, proto.marshal.collections.maps.MapComposite):
            continue
        yield from ((name, one) for one in values if isinstance(one, proto.Message))
