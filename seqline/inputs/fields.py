"""Fields of JSON objects, nested ones by a dotted name such as translation.en."""

from typing import Any


def field_of(record: dict[str, Any], name: str) -> Any:
    """Returns the value of a field.

    Args:
        record: The object.
        name: The field; if the object has none of this name, a dot separates the names of an object and its field.

    Raises:
        KeyError: There is no such field.
    """
    if name in record:
        return record[name]
    first, dot, rest = name.partition(".")
    inner = record[first] if dot else None
    if not isinstance(inner, dict):
        raise KeyError(name)
    return field_of(inner, rest)
