"""Shows the steps of a plan: what `apply` changes, of schedules and of triggers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seqline.cli.confirming import confirm

if TYPE_CHECKING:
    from seqline.targets.schedule_plan import Step

MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "unchanged": " ", "ignored": " "}


def print_steps(steps: Sequence["Step[Any]"], kind: str) -> None:
    """Prints the steps, each with its differences.

    Args:
        steps: The steps.
        kind: What they change: schedule or trigger.
    """
    if not steps:
        print(f"no {kind}s are configured")
    for step in steps:
        print(f"{MARKS[step.action]} {step.name:<24} {step.action}")
        for difference in step.differences:
            print(f"    {difference}")


def confirm_deletions(steps: Sequence["Step[Any]"], yes: bool) -> None:
    """Asks whether to go on, if steps delete something.

    Args:
        steps: The steps.
        yes: Whether the user has agreed already.

    Raises:
        typer.Abort: If the answer is no.
    """
    if names := [step.name for step in steps if step.action == "delete"]:
        confirm(f"delete {', '.join(names)}", yes)


def step_content(step: "Step[Any]", made: Any, kind: str = "schedule") -> dict[str, Any]:
    """Returns a step as JSON values.

    Args:
        step: The step.
        made: The new state of what it changed; None if it changed nothing.
        kind: The key of the new state.
    """
    changes = [{"field": one.field, "old": one.old, "new": one.new} for one in step.differences]
    return {"name": step.name, "action": step.action, "differences": changes, kind: made}
