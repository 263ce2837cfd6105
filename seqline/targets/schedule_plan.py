"""The plan of `seqline schedule apply`: the configuration's schedules compared with the existing ones.

    ~ nightly                 update: in place
        cron: '0 3 * * *' -> '0 4 * * *'
    ± weekly                  replace: the service cannot change these fields
        parameters.training.epochs: 20 -> 30
    + hourly                  create
    - monthly                 delete, with --prune; without it, it is ignored

Pipelines are compared by content, so uploading an unchanged one again changes nothing.
"""

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from seqline.targets.target import Schedule

if TYPE_CHECKING:
    from seqline.targets.target import Target

Action = Literal["create", "update", "replace", "delete", "unchanged", "ignored"]
PLAIN = ("cron", "timezone", "spec", "end", "max_runs", "max_active_runs", "state")
# A replacement starts up to three minutes later than the one that the configuration wants.
SAME_START = datetime.timedelta(minutes=5)


class Named(Protocol):
    """A schedule, or what is planned like one."""

    @property
    def name(self) -> str:
        """Its name, unique among those of its kind."""


Planned = TypeVar("Planned", bound=Named)


@dataclass(frozen=True)
class Difference:
    """One field that differs from the configuration."""

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.field}: {self.old!r} -> {self.new!r}"


@dataclass(frozen=True)
class Step(Generic[Planned]):
    """The change of one schedule or trigger.

    Attributes:
        name: Its name.
        action: The action.
        differences: The reasons.
        wanted: The one in the configuration, or None.
        existing: The existing one, or None.
    """

    name: str
    action: Action
    differences: tuple[Difference, ...] = ()
    wanted: Planned | None = None
    existing: Planned | None = None


def differences(wanted: Schedule, existing: Schedule, now: datetime.datetime | None = None) -> Iterator[Difference]:
    """Yields the fields of an existing schedule that differ from the configuration.

    Args:
        wanted: From the configuration.
        existing: From the target.
        now: The time at which they are compared; the current one by default. Starts before it are the same.
    """
    for name in PLAIN:
        old, new = getattr(existing, name), getattr(wanted, name)
        # A schedule after its last run needs no change.
        if old != new and not (name == "state" and old == "completed"):
            yield Difference(name, old, new)
    if (wanted.cache is False) != (existing.cache is False):
        yield Difference("cache", existing.cache, wanted.cache)
    if existing.superseded:
        yield Difference("superseded", existing.superseded, ())
    now = now or datetime.datetime.now(datetime.timezone.utc)
    old_start, new_start = (max(one.start or now, now) for one in (existing, wanted))
    if abs(new_start - old_start) > SAME_START:
        yield Difference("start", existing.start, wanted.start)
    for group in ("parameters", "settings"):
        yield from differing(group, getattr(existing, group), getattr(wanted, group))


def differing(path: str, old: Any, new: Any) -> Iterator[Difference]:
    """Yields the differences of two JSON values; objects are compared by field.

    Args:
        path: Where they are.
        old: The existing value.
        new: The one in the configuration.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from differing(f"{path}.{name}", old.get(name), new.get(name))
    elif old != new:
        yield Difference(path, old, new)


def changed_fields(wanted: Schedule, existing: Schedule, now: datetime.datetime | None = None) -> set[str]:
    """Returns the fields of `Schedule` in which two schedules differ.

    Args:
        wanted: From the configuration.
        existing: From the target.
        now: As in `differences`.
    """
    return {difference.field.partition(".")[0] for difference in differences(wanted, existing, now)}


def plan(
    wanted: Sequence[Schedule],
    existing: Sequence[Schedule],
    updatable: frozenset[str],
    prune: bool = False,
    now: datetime.datetime | None = None,
) -> list[Step[Schedule]]:
    """Returns the steps from the existing schedules to the configuration's, by name.

    Args:
        wanted: The schedules in the configuration.
        existing: The target's schedules.
        updatable: The fields that the target changes in place.
        prune: Whether schedules that are not in the configuration are deleted.
        now: As in `differences`.
    """
    return steps(wanted, existing, partial(differences, now=now), updatable, prune)


def steps(
    wanted: Sequence[Planned],
    existing: Sequence[Planned],
    compare: Callable[[Planned, Planned], Iterable[Difference]],
    updatable: frozenset[str],
    prune: bool = False,
) -> list[Step[Planned]]:
    """Returns the steps from what exists to the configuration, by name.

    Args:
        wanted: Those in the configuration.
        existing: Those at the service.
        compare: Yields the differences of the first from the second.
        updatable: The fields that the service changes in place.
        prune: Whether those that are not in the configuration are deleted.
    """
    there = {one.name: one for one in existing}
    found: list[Step[Planned]] = []
    for one in wanted:
        present = there.pop(one.name, None)
        if present is None:
            found.append(Step(one.name, "create", wanted=one))
            continue
        differing_fields = tuple(compare(one, present))
        fields = {difference.field.partition(".")[0] for difference in differing_fields}
        action: Action = "unchanged" if not fields else "update" if fields <= updatable else "replace"
        found.append(Step(one.name, action, differing_fields, one, present))
    left: Action = "delete" if prune else "ignored"
    found += [Step(name, left, existing=one) for name, one in there.items()]
    return sorted(found, key=lambda step: step.name)


def carry_out(step: Step[Schedule], target: "Target", templates: Mapping[str, str]) -> Schedule | None:
    """Executes one step.

    Args:
        step: From `plan`.
        target: The target.
        templates: The reference of each schedule's pipeline, by the schedule's name.

    Returns:
        The new state of the schedule; None if it was deleted or unchanged.
    """
    import dataclasses

    if step.action == "delete" and step.existing:
        target.delete_schedule(step.existing)
    if step.action in {"create", "update", "replace"} and step.wanted:
        wanted = dataclasses.replace(step.wanted, template=templates[step.name])
        return target.save_schedule(wanted, step.existing)
    return None
