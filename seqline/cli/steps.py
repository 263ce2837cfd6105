"""Shows the steps of a plan: what `apply` changes, of schedules and of triggers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqline.targets.schedule_plan import Step

MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "unchanged": " ", "ignored": " "}


def print_steps(steps: Sequence["Step[Any]"]) -> None:
    """Prints the steps, each with its differences.

    Args:
        steps: The steps.
    """
    for step in steps:
        print(f"{MARKS[step.action]} {step.name:<24} {step.action}")
        for difference in step.differences:
            print(f"    {difference}")


def step_content(step: "Step[Any]", made: Any, kind: str = "schedule") -> dict[str, Any]:
    """Returns a step as JSON values.

    Args:
        step: The step.
        made: The new state of what it changed; None if it changed nothing.
        kind: The key of the new state.
    """
    changes = [{"field": one.field, "old": _plain(one.old), "new": _plain(one.new)} for one in step.differences]
    content = plain_content(made) if made else None
    return {"name": step.name, "action": step.action, "differences": changes, kind: content}


def plain_content(found: Any) -> dict[str, Any]:
    """Returns a dataclass as JSON values.

    Args:
        found: A schedule or a trigger.
    """
    from dataclasses import asdict

    return {name: _plain(value) for name, value in asdict(found).items()}


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
