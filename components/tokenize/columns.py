"""Columns of Parquet files, as texts."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from seqline.errors import UserError


def check_columns(schema: pa.Schema, fields: tuple[str, ...], path: str) -> None:
    """Checks that a file has the columns that are read, once each, and that they hold text.

    Args:
        schema: Its schema.
        fields: Their names; a dot separates a column of structs and its field.
        path: The file, for the message.

    Raises:
        UserError: It does not.
    """
    for name in fields:
        if schema.names.count(name.partition(".")[0]) > 1 or schema.names.count(name) > 1:
            raise UserError(f"{path}: the columns name {name} more than once; rename a column")
        kind = _kind_of(schema, name)
        if kind is None:
            known = ", ".join(leaf for field in schema for leaf in _leaves(field))
            raise UserError(f"{path}: no column {name!r} (source_field, …); it has {known}")
        if pa.types.is_struct(kind):
            inner = f"{name}.{kind[0].name}" if kind.num_fields else name
            raise UserError(
                f"{path}: column {name!r} contains objects, not texts; name a field of them, such as {inner}"
            )
        if not _is_text(kind):
            raise UserError(f"{path}: column {name!r} contains {kind}, not texts; convert it, or name another column")


def column_of(table: pa.Table, name: str) -> pa.Array:
    """Returns the bytes of the texts of a column that `check_columns` accepts, with nulls.

    Args:
        table: A part of the file.
        name: As for `check_columns`.
    """
    if name in table.column_names:
        column = table[name]
    else:
        first, *rest = name.split(".")
        column = pc.struct_field(table[first], rest)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.large_binary()).combine_chunks()


def _kind_of(schema: pa.Schema, name: str) -> pa.DataType | None:
    """The type of a column or of a field of structs; None if there is none."""
    if name in schema.names:
        return schema.field(name).type
    first, *rest = name.split(".")
    kind: Any = schema.field(first).type if first in schema.names else None
    for inner in rest:
        position = kind.get_field_index(inner) if kind is not None and pa.types.is_struct(kind) else -1
        kind = kind[position].type if position >= 0 else None
    return kind


def _leaves(field: pa.Field) -> list[str]:
    if not pa.types.is_struct(field.type):
        return [field.name]
    return [f"{field.name}.{leaf}" for inner in field.type for leaf in _leaves(inner)]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    types = pa.types
    checks = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary, types.is_string_view)
    more = (types.is_binary_view, types.is_fixed_size_binary, types.is_null)
    return any(check(kind) for check in (*checks, *more))
