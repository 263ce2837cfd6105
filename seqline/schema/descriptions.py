"""Descriptions of a pipeline's parameters, made from the schemas: the DAG's own docstring is its steps alone."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from seqline.schema.messages import accepted
from seqline.schema.run import RunParameters
from seqline.schema.sections import DOCUMENTATION, SECTIONS

Function = TypeVar("Function", bound=Callable[..., Any])


def described(pipeline: Function) -> Function:
    """Adds an `Args:` section to a pipeline function's docstring; apply it below `dsl.pipeline`.

    Args:
        pipeline: The function; each of its parameters is a parameter of the run, a section, or one of its own, which
            its docstring describes in `Args:`.
    """
    text, _, own = inspect.cleandoc(pipeline.__doc__ or "").partition("\nArgs:\n")
    known = [
        name for name in inspect.signature(pipeline).parameters if name in (*RunParameters.model_fields, *SECTIONS)
    ]
    lines = [f"    {name}: {describe(name)}" for name in known]
    pipeline.__doc__ = "\n".join([text.rstrip(), "", "Args:", *lines, *own.splitlines()])
    return pipeline


def describe(parameter: str) -> str:
    """What a console's form shows about a parameter, in one line.

    Args:
        parameter: A parameter of the run, or a section.
    """
    if parameter not in SECTIONS:
        field = RunParameters.model_fields[parameter]
        choices = accepted(field)
        return f"{field.description}" + (f" One of {choices}." if choices != "text" else "")
    section = SECTIONS[parameter]
    if section.field:
        text = section.model.model_fields[section.field].description or ""
    else:
        text = f"Options of {section.stage}, a JSON object of {', '.join(section.fields)}."
    # kfp parses the docstring: one line is one description.
    return " ".join(text.split()) + f" {DOCUMENTATION}#{parameter}"
