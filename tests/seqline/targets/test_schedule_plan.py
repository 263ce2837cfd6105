"""The plan of `schedule apply`, carried out on a target that is a dictionary."""

import datetime
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.targets.schedule_plan import carry_out, plan
from seqline.targets.target import Schedule

UPDATABLE = frozenset({"cron", "state"})


class Memory:
    """Schedules by name; a replaced one has another id."""

    def __init__(self, *schedules: Schedule) -> None:
        self.held = {schedule.name: schedule for schedule in schedules}
        self.made = 0

    def save_schedule(self, wanted: Schedule, existing: Schedule | None = None) -> Schedule:
        changed = {name for name in vars(wanted) if existing and getattr(wanted, name) != getattr(existing, name)}
        in_place = existing and changed <= UPDATABLE | {"id"}
        self.made += not in_place
        id_ = existing.id if existing and in_place else f"new-{self.made}"
        self.held[wanted.name] = replace(wanted, id=id_)
        return self.held[wanted.name]

    def delete_schedule(self, schedule: Schedule) -> None:
        del self.held[schedule.name]

    def apply(self, *wanted: Schedule, prune: bool = False) -> dict[str, str]:
        steps = plan(wanted, list(self.held.values()), UPDATABLE, prune)
        for step in steps:
            carry_out(step, self, {schedule.name: schedule.template for schedule in wanted})  # type: ignore[arg-type]
        return {step.name: step.action for step in steps}


NIGHTLY = Schedule("nightly", "0 3 * * *", template="a", spec="1", parameters={"training": {"epochs": 20}})
WEEKLY = Schedule("weekly", "0 3 * * 1", template="a", spec="1")


def test_unlisted_schedules_are_deleted_with_prune_alone() -> None:
    target = Memory(NIGHTLY, WEEKLY)
    assert target.apply(NIGHTLY) == {"nightly": "unchanged", "weekly": "ignored"}
    assert target.held == {"nightly": NIGHTLY, "weekly": WEEKLY}
    assert target.apply(NIGHTLY, prune=True) == {"nightly": "unchanged", "weekly": "delete"}
    assert target.held == {"nightly": NIGHTLY}


@pytest.mark.parametrize(
    ("changed", "action"),
    [
        ({}, "unchanged"),
        ({"cron": "0 4 * * *"}, "update"),
        ({"state": "paused"}, "update"),
        ({"parameters": {"training": {"epochs": 30}}}, "replace"),
        ({"cron": "0 4 * * *", "spec": "2"}, "replace"),
        ({"settings": {"service_account": "runs"}}, "replace"),
        ({"timezone": "Asia/Tokyo"}, "replace"),
        ({"template": "uploaded again"}, "unchanged"),
    ],
)
def test_what_the_target_cannot_change_in_place_is_replaced(changed: dict[str, Any], action: str) -> None:
    target = Memory(replace(NIGHTLY, id="old"))
    assert target.apply(replace(NIGHTLY, **changed)) == {"nightly": action}
    assert (target.held["nightly"].id == "old") == (action != "replace")


NOW = datetime.datetime(2030, 1, 31, tzinfo=datetime.timezone.utc)
SOON, LATER = NOW + datetime.timedelta(minutes=3), NOW + datetime.timedelta(days=3)
PAST = NOW - datetime.timedelta(days=3)


@pytest.mark.parametrize(
    ("old", "new", "action"),
    [
        (PAST, LATER, "replace"),
        (None, LATER, "replace"),
        (LATER, NOW + datetime.timedelta(days=2), "replace"),
        (LATER, None, "replace"),
        (LATER, PAST, "replace"),
        (LATER, LATER, "unchanged"),
        # Runs start at once in both; a replacement starts a little later.
        (PAST, None, "unchanged"),
        (None, PAST, "unchanged"),
        (SOON, None, "unchanged"),
    ],
)
def test_a_change_of_the_start_is_a_replacement(
    old: datetime.datetime | None, new: datetime.datetime | None, action: str
) -> None:
    (step,) = plan([replace(NIGHTLY, start=new)], [replace(NIGHTLY, start=old)], UPDATABLE, now=NOW)
    assert step.action == action


schedules = st.dictionaries(
    st.sampled_from("abcd"),
    st.fixed_dictionaries(
        {
            "cron": st.sampled_from(["0 3 * * *", "0 4 * * *"]),
            "spec": st.sampled_from("12"),
            "state": st.sampled_from(["active", "paused"]),
            "parameters": st.dictionaries(st.sampled_from("xy"), st.integers(0, 1)),
        }
    ),
).map(lambda found: [Schedule(name, template="a", **values) for name, values in found.items()])


@given(existing=schedules, wanted=schedules, prune=st.booleans())
def test_apply_makes_the_configuration_true_and_changes_no_other_schedule(
    existing: list[Schedule], wanted: list[Schedule], prune: bool
) -> None:
    target = Memory(*existing)
    before, names = dict(target.held), {schedule.name for schedule in wanted}
    target.apply(*wanted, prune=prune)
    assert {name: one for name, one in target.held.items() if name not in names} == (
        {} if prune else {name: one for name, one in before.items() if name not in names}
    )
    assert [replace(target.held[schedule.name], id="") for schedule in wanted] == wanted
    assert set(target.apply(*wanted).values()) <= {"unchanged", "ignored"}
