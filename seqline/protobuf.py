"""Classes of protobuf messages from tables, where a library's own need what a process lacks or must not import."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Fields = Mapping[str, tuple[int, str, bool]]
"""field -> (number, type, repeated); a type is a scalar, such as int32, or the name of a message of the table."""

_Field = descriptor_pb2.FieldDescriptorProto
_NONE: Mapping[str, str] = MappingProxyType({})


def message_classes(
    package: str, messages: Mapping[str, Fields], one_of: Mapping[str, str] = _NONE, syntax: str = "proto3"
) -> dict[str, Any]:
    """Creates classes, in a descriptor pool of their own: a process can have the published ones beside them.

    Args:
        package: A name for the package.
        messages: The fields of each message by its name, in which dots are allowed.
        one_of: Name of the group by message, of messages of which one field alone is set.
        syntax: proto3 or proto2.

    Returns:
        The classes by the names in the table.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax=syntax)
    local = {name: name.replace(".", "_") for name in messages}
    for name, fields in messages.items():
        message = file.message_type.add(name=local[name])
        if name in one_of:
            message.oneof_decl.add(name=one_of[name])
        for field, (number, kind, repeated) in fields.items():
            described = message.field.add(name=field, number=number)
            described.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            if name in one_of:
                described.oneof_index = 0
            if kind in messages:
                described.type, described.type_name = _Field.TYPE_MESSAGE, f".{package}.{local[kind]}"
            else:
                described.type = _Field.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{local[name]}"))
        for name in messages
    }
