"""A stage's own command line: `python -m components.<stage>`."""

import logging
import sys
from collections.abc import Callable
from dataclasses import is_dataclass
from inspect import signature
from typing import Any, get_type_hints

from seqline.errors import UserError


def run(stage: Callable[..., Any], arguments: list[str] | None = None) -> int:
    """Runs a stage function from the command line.

    Every parameter becomes a flag; the fields of an options dataclass become flags beside them. Help
    texts are the docstrings' `Args:` and `Attributes:` lines.

    Args:
        stage: The stage's entry function, annotated, with a Google-style docstring.
        arguments: The command line; that of the process by default.

    Returns:
        The exit code: 0, or 1 after a one-line message about bad input. A wrong flag exits with 2.
    """
    from jsonargparse import ArgumentParser

    hints = get_type_hints(stage)
    options = {name: hints[name] for name in signature(stage).parameters if is_dataclass(hints[name])}
    parser = ArgumentParser(prog=f"python -m {stage.__module__.rpartition('.')[0]}")
    parser.description = (stage.__doc__ or "").strip().partition("\n")[0]
    parser.add_function_arguments(stage, skip=set(options))
    fields: dict[str, list[str]] = {name: parser.add_class_arguments(kind) or [] for name, kind in options.items()}
    given = parser.instantiate_classes(parser.parse_args(arguments))
    values = {name: given[name] for name in signature(stage).parameters if name not in options}
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        for name, kind in options.items():
            values[name] = kind(**{field: given[field] for field in fields[name]})
        stage(**values)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
