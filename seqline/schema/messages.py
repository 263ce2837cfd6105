"""What pydantic finds wrong, in the words of this project."""

import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from seqline.names import nearest
from seqline.schema.auto import OrAuto
from seqline.schema.yaml_values import Unquoted

WORDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "an object of keys and values",
    "model_type": "an object of keys and values",
    "model_attributes_type": "an object of keys and values",
    "list_type": "a list",
}
KINDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    list: "list",
    dict: "object",
    AwareDatetime: "date and time",
}
# What a name or an item of a list must look like, which has no description of its own.
PATTERNS = {
    r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$": "at most 63 lower-case letters, digits and hyphens, a letter first",
    r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$": "at most 40 lower-case letters, digits and hyphens, a letter first",
    r"^[a-z0-9_-]{0,63}$": "at most 63 lower-case letters, digits, hyphens and underscores",
    r"^[a-z][a-z0-9_-]{0,62}$": "at most 63 lower-case letters, digits, hyphens and underscores, a letter first",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "letters, digits and underscores, of which no digit is first",
    r"^sha256:[0-9a-f]{64}$": "sha256: and 64 hexadecimal digits",
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$": "an e-mail address",
}
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def explain(detail: Any, kind: type[BaseModel]) -> str:
    """One error of pydantic as a message that reads on after the field's name.

    Args:
        detail: An entry of `ValidationError.errors()`.
        kind: The model that was validated.
    """
    error, given, path = detail["type"], detail.get("input"), [key for key in detail["loc"] if key != "[key]"]
    context = detail.get("ctx", {})
    if error == "extra_forbidden":
        return f"is unknown; {nearest(str(path[-1]), fields_at(kind, path[:-1]))}"
    if error == "value_error":
        return str(context["error"])
    if error == "missing":
        return "is missing"
    if error == "literal_error":
        expected = context["expected"].replace("'", "")
        return f"must be {expected}, not {given!r}{_close(given, expected)}"
    if error == "string_pattern_mismatch":
        field = fields_at(kind, path[:-1]).get(str(path[-1]))
        pattern = context["pattern"]
        meant = (field.description if field else "") or PATTERNS.get(pattern, f"a match of {pattern}")
        meant = " ".join(meant.split())
        return f"has the wrong form: {given!r}; expected: {meant[0].lower()}{meant[1:].rstrip('.')}"
    if error == "timezone_aware":
        return f"needs a time zone, such as 2030-01-31T00:00:00Z, not {given!r}"
    limits = {name: limit for name, limit in context.items() if name in BOUNDS}
    if limits:
        field = fields_at(kind, path[:-1]).get(str(path[-1])) if path else None
        wanted = bounds(field) if field is not None else ""
        wanted = wanted or " and ".join(f"{BOUNDS[name]} {_digits(limit)}" for name, limit in limits.items())
        return f"must be {wanted}, not {given!r}"
    if error == "string_type":
        return not_text(given)
    field = fields_at(kind, path[:-1]).get(str(path[-1])) if path else None
    rest = " or auto" if field is not None and takes_auto(field) else ""
    said = f"must be {WORDS[error]}{rest}" if error in WORDS else detail["msg"][0].lower() + detail["msg"][1:]
    return f"{said}, not {given!r}" if len(repr(given)) < 80 else said


def not_text(given: Any) -> str:
    """Says that a value must be text, and that quotes make it one.

    Args:
        given: The value.
    """
    if isinstance(given, Unquoted):
        return f"must be text, not the {given.meaning} {given}; put it in quotes"
    if isinstance(given, bool):
        # YAML 1.1 reads no, off and yes as truth values; the language code of Norwegian is one of them.
        return f"must be text, not {str(given).lower()}; put it in quotes"
    shown = "null" if given is None else repr(given)
    hint = "; put it in quotes" if isinstance(given, int | float) else ""
    return f"must be text, not {shown}{hint}" if len(shown) < 80 else f"must be text{hint}"


def takes_auto(field: FieldInfo) -> bool:
    """Whether a field takes `auto` beside numbers.

    Args:
        field: The field.
    """
    return any(isinstance(one, OrAuto) for one in field.metadata)


def bounds(field: FieldInfo) -> str:
    """The numbers that a field takes, in words: `at least 0 and below 1`; empty where all are fine.

    Args:
        field: The field.
    """
    return " and ".join(
        f"{word} {_digits(getattr(one, name))}"
        for name, word in BOUNDS.items()
        for one in _constraints(field)
        if isinstance(getattr(one, name, None), int | float)
    )


def accepted(field: FieldInfo) -> str:
    """What a field takes, in words: `number, at least 0 and below 1`, or its choices.

    Args:
        field: The field.
    """
    choices = [one for one in _literals(field.annotation) if one != ""]
    if choices:
        return ", ".join(map(str, choices))
    kind = _content(field.annotation)
    words = KINDS.get(typing.get_origin(kind) or kind, "object")
    return ", ".join(filter(None, (words, bounds(field), "or auto" if takes_auto(field) else "")))


def _constraints(field: FieldInfo) -> list[Any]:
    """A field's constraints; those of the number or truth value, where it takes `auto` too."""
    if not takes_auto(field):
        return list(field.metadata)
    inner = typing.get_args(typing.get_args(field.annotation)[0])
    return [one for part in inner[1:] for one in part.metadata]


def _digits(limit: float) -> str:
    return str(int(limit)) if float(limit).is_integer() else f"{limit:g}"


def _literals(annotation: Any) -> list[Any]:
    return list(typing.get_args(annotation)) if typing.get_origin(annotation) is typing.Literal else []


def fields_at(kind: Any, path: Sequence[str | int]) -> dict[str, FieldInfo]:
    """The fields that a model has at a path; none where there is no model.

    Args:
        kind: The model.
        path: Names of fields, keys of mappings and indices of lists.
    """
    for part in path:
        if _is_model(kind):
            field = kind.model_fields.get(str(part))
            kind = _content(field.annotation) if field else None
        else:
            kind = _content(next(iter(typing.get_args(kind)[-1:]), None))
    return dict(kind.model_fields) if _is_model(kind) else {}


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and not isinstance(kind, types.GenericAlias) and issubclass(kind, BaseModel)


def _content(annotation: Any) -> Any:
    """An annotation without `None` and without constraints."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return next((_content(part) for part in typing.get_args(annotation) if part is not type(None)), None)
    if typing.get_origin(annotation) is typing.Annotated:
        return _content(typing.get_args(annotation)[0])
    return annotation


def _close(given: Any, expected: str) -> str:
    names = expected.replace(" or ", ", ").split(", ")
    hint = nearest(given, names) if isinstance(given, str) else ""
    return f"; {hint}" if hint.startswith("did you mean") else ""
