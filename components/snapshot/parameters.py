"""Checks all parameters of a run in its first task, by the very rules of the stages that will read them.

A console's form takes any value. Without this, a dropout of 5 is found out after an hour of tokenizing.
Standard library only, as far as the stages' options are: the first task runs in an image without TensorFlow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pkgutil import resolve_name
from typing import Any

from seqline.errors import UserError

# By name: a stage's module imports its libraries when it works, and here nothing of it works but its options.
OPTIONS = (
    "seqline.components.tokenize.options:Options",
    "seqline.components.tokenize.options:Conditions",
    "seqline.components.infer.options:Options",
    "seqline.components.tune.budget:Budget",
    "seqline.components.tune.space:Search",
    "seqline.components.train.stage:Options",
    "seqline.artifacts.exported_model:Decoding",
    "seqline.artifacts.exported_model:Statements",
    "seqline.components.evaluate.stage:Options",
    "seqline.components.bless.stage:Options",
    "seqline.components.deploy.stage:Options",
    "seqline.endpoints.vertex:Serving",
)


def check_parameters(given: Mapping[str, Any]) -> None:
    """Refuses values that a later stage would refuse.

    Args:
        given: Values of the pipeline's parameters by name; those that no stage's options have are not looked at.

    Raises:
        UserError: With a line for each fault, which begins with the parameter's name.
    """
    faults = list(find_faults(given))
    if faults:
        raise UserError("\n".join(f"parameter {message}" for _, message in faults))


def find_faults(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Finds the values that a stage would refuse.

    Args:
        given: Values by parameter name.

    Yields:
        The parameter's name, and the stage's message about it.
    """
    for options in map(resolve_name, OPTIONS):
        names = [field.name for field in fields(options) if field.name in given]
        alone = [(name, fault) for name in names if (fault := _fault(options, {name: given[name]}))]
        yield from alone
        together = "" if alone or not names else _fault(options, {name: given[name] for name in names})
        if together:
            yield next((name for name in names if name in together), names[0]), together


def _fault(options: Any, values: dict[str, Any]) -> str:
    """What a stage's options say against values; empty if they take them."""
    try:
        options(**values)
    except UserError as error:
        return str(error)
    return ""
