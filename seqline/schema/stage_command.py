"""A stage's own command line: `python -m seqline.components.<stage>`."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, get_args, get_type_hints

from docstring_parser import parse as parse_docstring

from seqline.errors import UserError
from seqline.paths import expanded
from seqline.schema.messages import accepted
from seqline.schema.options import BaseOptions
from seqline.schema.texts import Text, read_text
from seqline.schema.transport import unfit


def run(stage: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Runs a stage function from the command line.

    Every parameter becomes a flag, and so does every field of its options. Help texts are the docstring's `Args:` and
    the fields' descriptions.

    Args:
        stage: The stage's entry function, annotated, with a Google-style docstring.
        arguments: The command line; that of the process by default.

    Returns:
        The exit code: 0, or 1 after a message about bad input. A wrong flag exits with 2.
    """
    hints = get_type_hints(stage)
    parameters = signature(stage).parameters
    models = {name: hints[name] for name in parameters if _is_options(hints[name])}
    parser = _parser(stage, {name: one for name, one in parameters.items() if name not in models}, models)
    given = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        values = {name: _typed(name, hints[name], given[name]) for name in parameters if name in given}
        values |= {name: _options(model, given) for name, model in models.items()}
        stage(**values)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser(
    stage: Callable[..., Any], parameters: dict[str, Parameter], models: dict[str, type[BaseOptions]]
) -> argparse.ArgumentParser:
    documentation = parse_docstring(stage.__doc__ or "")
    descriptions = {one.arg_name: " ".join((one.description or "").split()) for one in documentation.params}
    parser = argparse.ArgumentParser(
        prog=f"python -m {stage.__module__.rpartition('.')[0]}",
        description=documentation.short_description,
        # What is not given keeps the function's own default.
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        usage="%(prog)s --flag VALUE ...",
    )
    for name, one in parameters.items():
        required = one.default is Parameter.empty
        parser.add_argument(f"--{name}", required=required, help=_escaped(descriptions.get(name, "")))
    for name, model in models.items():
        group = parser.add_argument_group(name.replace("_", " "), description=_first_line(model))
        for field, info in model.model_fields.items():
            default = info.get_default(call_default_factory=True)
            text = f"{info.description} [{accepted(info)}; default: {json.dumps(default)}]"
            group.add_argument(f"--{field}", metavar="VALUE", help=_escaped(text))
    return parser


def _options(model: type[BaseOptions], given: Mapping[str, str]) -> BaseOptions:
    fields = {name: field.annotation for name, field in model.model_fields.items() if name in given}
    return model(**{name: read_text(annotation, Text(given[name])) for name, annotation in fields.items()})


def _typed(name: str, annotation: Any, text: str) -> Any:
    """The value of a function's own parameter: a path, a text, a number or a truth value."""
    if annotation is Path or Path in get_args(annotation):
        return expanded(text)
    value = read_text(annotation, Text(text))
    for _, message in unfit(value):
        raise UserError(f"{name} {message}")
    expected = (int, float) if annotation is float else annotation
    if not isinstance(value, expected):
        raise UserError(f"{name} must be of type {annotation.__name__}, not {text!r}")
    return value


def _first_line(model: type[BaseOptions]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _is_options(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseOptions)
