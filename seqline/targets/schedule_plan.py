"""What `seqline schedule apply` will do: what the configuration says against what exists.

    ~ nightly                 update: in place
        cron: '0 3 * * *' -> '0 4 * * *'
    ± weekly                  replace: the service cannot change what differs
        parameters.epochs: 20 -> 30
    + hourly                  create
    - monthly                 delete, with --prune; without it, it is left alone

What is compared of a pipeline is its content, so an unchanged one that is uploaded again changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from seqline.targets.target import Schedule

if TYPE_CHECKING:
    from seqline.targets.target import Target

Action = Literal["create", "update", "replace", "delete", "unchanged", "left alone"]
PLAIN = ("cron", "timezone", "spec", "end", "max_runs", "max_active_runs", "state")


@dataclass(frozen=True)
class Difference:
    """One field that is not as it is wanted."""

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.field}: {self.old!r} -> {self.new!r}"


@dataclass(frozen=True)
class Step:
    """What happens to one schedule.

    Attributes:
        name: The schedule's name.
        action: What is done.
        differences: Why.
        wanted: As the configuration has it; None for one that it does not have.
        existing: As it is; None for one that is not there.
    """

    name: str
    action: Action
    differences: tuple[Difference, ...] = ()
    wanted: Schedule | None = None
    existing: Schedule | None = None


def differences(wanted: Schedule, existing: Schedule) -> Iterator[Difference]:
    """What an existing schedule has otherwise than wanted.

    Args:
        wanted: From the configuration.
        existing: From the target.
    """
    for name in PLAIN:
        old, new = getattr(existing, name), getattr(wanted, name)
        # A schedule that has had its last run is as it was wanted.
        if old != new and not (name == "state" and old == "completed"):
            yield Difference(name, old, new)
    if (wanted.cache is False) != (existing.cache is False):
        yield Difference("cache", existing.cache, wanted.cache)
    if existing.superseded:
        yield Difference("superseded", existing.superseded, ())
    if wanted.start and existing.start and wanted.start > existing.start:
        yield Difference("start", existing.start, wanted.start)
    for group in ("parameters", "settings"):
        old_values, new_values = getattr(existing, group), getattr(wanted, group)
        for name in sorted({*old_values, *new_values}):
            old, new = old_values.get(name), new_values.get(name)
            if old != new:
                yield Difference(f"{group}.{name}", old, new)


def changed_fields(wanted: Schedule, existing: Schedule) -> set[str]:
    """The fields of `Schedule` in which two differ.

    Args:
        wanted: From the configuration.
        existing: From the target.
    """
    return {difference.field.partition(".")[0] for difference in differences(wanted, existing)}


def plan(
    wanted: Sequence[Schedule], existing: Sequence[Schedule], updatable: frozenset[str], prune: bool = False
) -> list[Step]:
    """What is to be done, by name.

    Args:
        wanted: What the configuration says.
        existing: What the target has.
        updatable: The fields that the target changes in place.
        prune: Whether schedules that the configuration does not have are deleted.
    """
    there = {schedule.name: schedule for schedule in existing}
    steps = []
    for schedule in wanted:
        present = there.pop(schedule.name, None)
        if present is None:
            steps.append(Step(schedule.name, "create", wanted=schedule))
            continue
        found = tuple(differences(schedule, present))
        fields = {difference.field.partition(".")[0] for difference in found}
        action: Action = "unchanged" if not found else "update" if fields <= updatable else "replace"
        steps.append(Step(schedule.name, action, found, schedule, present))
    left: Action = "delete" if prune else "left alone"
    steps += [Step(name, left, existing=schedule) for name, schedule in there.items()]
    return sorted(steps, key=lambda step: step.name)


def carry_out(step: Step, target: "Target", templates: Mapping[str, str]) -> Schedule | None:
    """Does one step.

    Args:
        step: From `plan`.
        target: Where.
        templates: By schedule's name, the reference of what it is to run.

    Returns:
        The schedule as it is now; None where there is none or nothing was done.
    """
    import dataclasses

    if step.action == "delete" and step.existing:
        target.delete_schedule(step.existing)
    if step.action in {"create", "update", "replace"} and step.wanted:
        wanted = dataclasses.replace(step.wanted, template=templates[step.name])
        return target.save_schedule(wanted, step.existing)
    return None
