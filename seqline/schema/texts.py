"""Values of options as the command line gives them: texts that take the option's type."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import yaml

from seqline.schema.yaml_values import load_yaml


class Text(str):
    """A value as the command line gives it: text that gets its option's type once that is known."""

    __slots__ = ()


def read_text(annotation: Any, value: Any) -> Any:
    """Reads a text in the type of its option; anything else is returned as it is.

    Args:
        annotation: The option's type.
        value: The value. Texts within a mapping are read as JSON or YAML.
    """
    if isinstance(value, Text) and takes_text(annotation) and not takes_scalar(annotation):
        return str(value)
    return parse(value)


def parse(value: Any) -> Any:
    """Reads a text as JSON, or else as YAML, or else leaves it.

    Args:
        value: A text, or a mapping that holds texts.
    """
    if isinstance(value, Mapping):
        return {key: parse(one) for key, one in value.items()}
    if not isinstance(value, Text):
        return value
    for load in (json.loads, load_yaml):
        with contextlib.suppress(ValueError, yaml.YAMLError):
            return load(value)
    return str(value)


def takes_scalar(annotation: Any) -> bool:
    """Whether an option of this type takes a number or a truth value, perhaps among other values, such as auto.

    Args:
        annotation: The type.
    """
    if get_origin(annotation) in (Literal, dict, list):
        return False
    return annotation in (bool, int, float) or any(map(takes_scalar, get_args(annotation)))


def takes_text(annotation: Any) -> bool:
    """Whether an option of this type takes text.

    Args:
        annotation: The type.
    """
    if get_origin(annotation) is Literal:
        return any(isinstance(one, str) for one in get_args(annotation))
    if get_origin(annotation) in (dict, list):
        return False
    return annotation is str or any(map(takes_text, get_args(annotation)))
