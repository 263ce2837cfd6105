"""`seqline schedule`: applies the schedules of the configuration."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.cli.confirming import YesOption, confirm
from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import ConfigOption, JsonOption, SetOption, TargetOption, read_configuration
from seqline.cli.steps import confirm_deletions, print_steps, step_content
from seqline.cli.tables import print_table
from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.configuration import Loaded
    from seqline.targets.target import Schedule, Target

app = typer.Typer(help="Plan, apply and manage schedules.", no_args_is_help=True)

PruneOption = Annotated[
    bool, typer.Option("--prune", help="Delete Seqline's schedules that are not in the configuration.")
]
NameArgument = Annotated[str, typer.Argument(help="Name of the schedule.")]


@app.command()
@examples("seqline schedule plan", "seqline schedule plan --target vertex --prune")
def plan(
    prune: PruneOption = False,
    target: TargetOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what apply would change, and why."""
    _run(target, config, set_, prune, as_json, apply_too=False)


@app.command()
@examples("seqline schedule apply", "seqline schedule apply --prune --yes")
def apply(
    prune: PruneOption = False,
    target: TargetOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Create and update the configured schedules; idempotent."""
    _run(target, config, set_, prune, as_json, apply_too=True, yes=yes)


@app.command("list")
@examples("seqline schedule list", "seqline schedule list --json")
def list_(target: TargetOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List Seqline's schedules."""
    found = _open(target, read_configuration(config, None)).schedules()
    if as_json:
        print_json(found)
        return
    rows = []
    for one in found:
        following = one.next_run.strftime("%Y-%m-%d %H:%M %Z") if one.next_run else ""
        rows.append((one.name, one.state, one.cron, one.timezone, following, one.last_run))
    print_table(("schedule", "state", "cron", "time zone", "next run", "last run"), rows, "no schedules")


@app.command()
@examples("seqline schedule pause nightly")
def pause(
    name: NameArgument, target: TargetOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Pause a schedule."""
    opened = _open(target, read_configuration(config, None))
    _show(opened.pause_schedule(_find(opened, name)), as_json)


@app.command()
@examples("seqline schedule resume nightly")
def resume(
    name: NameArgument, target: TargetOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Resume a paused schedule; missed runs are not started."""
    opened = _open(target, read_configuration(config, None))
    _show(opened.resume_schedule(_find(opened, name)), as_json)


@app.command()
@examples("seqline schedule delete nightly", "seqline schedule delete nightly --target vertex --yes")
def delete(
    name: NameArgument,
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Delete a schedule; its runs remain."""
    opened = _open(target, read_configuration(config, None))
    found = _find(opened, name)
    confirm(f"delete the schedule {name}", yes)
    opened.delete_schedule(found)
    print_json({"name": name, "deleted": True}) if as_json else print(f"{name}: deleted")


def _run(
    target: str | None, config: Any, settings: Any, prune: bool, as_json: bool, apply_too: bool, yes: bool = False
) -> None:
    import tempfile

    from seqline.checking.check import schedule_warnings
    from seqline.targets.schedule_plan import carry_out
    from seqline.targets.schedule_plan import plan as make_plan

    loaded = read_configuration(config, settings)
    opened = _open(target, loaded)
    for warning in schedule_warnings(loaded, opened.name):
        print(f"warning: {warning}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        wanted = [_wanted(loaded, opened, name, Path(folder)) for name in _names(loaded, opened)]
        steps = make_plan(wanted, opened.schedules(), opened.updatable, prune)
        done: dict[str, Schedule | None] = {}
        if not as_json:
            print_steps(steps, "schedule")
        if apply_too:
            confirm_deletions(steps, yes)
        references: dict[str, str] = {}
        # Everything that can fail before the first change of a schedule does so here.
        for step in steps if apply_too else []:
            if step.wanted and step.action in {"create", "update", "replace"}:
                given = loaded.configuration.schedules[step.name].template
                references[step.name] = given or opened.upload(Path(step.wanted.template)).reference
        for step in steps if apply_too else []:
            done[step.name] = carry_out(step, opened, references)
            if not as_json and (made := done[step.name]):
                _show(made)
    if as_json:
        print_json([step_content(step, done.get(step.name)) for step in steps])


def _names(loaded: "Loaded", opened: "Target") -> list[str]:
    return [name for name, settings in loaded.configuration.schedules.items() if settings.target == opened.name]


def _wanted(loaded: "Loaded", opened: "Target", name: str, folder: Path) -> "Schedule":
    """Returns a schedule of the configuration, with its compiled file unless it names an uploaded version."""
    from seqline.targets.target import Schedule

    settings = loaded.configuration.schedules[name]
    pipeline = settings.pipeline or loaded.configuration.pipeline
    spec = settings.template or str(opened.compile(pipeline, folder / f"{name}.yaml"))
    others = pipeline != loaded.configuration.pipeline
    return Schedule(
        name=name,
        cron=settings.cron,
        timezone=settings.timezone,
        template=spec,
        spec=opened.digest(spec),
        settings=opened.run_settings(),
        parameters=loaded.arguments(opened.parameters(spec), opened.name, name, others),
        state="paused" if settings.paused else "active",
        start=settings.start,
        end=settings.end,
        max_runs=settings.max_runs,
        max_active_runs=settings.max_active_runs,
        cache=settings.cache,
    )


def _open(target: str | None, loaded: "Loaded") -> "Target":
    from seqline.targets import open_target

    configuration = loaded.configuration
    targets = {settings.target for settings in configuration.schedules.values()}
    default = next(iter(targets)) if len(targets) == 1 else configuration.target
    return open_target(target or default, configuration)


def _find(opened: "Target", name: str) -> "Schedule":
    from seqline.names import nearest

    found = {schedule.name: schedule for schedule in opened.schedules()}
    if name not in found:
        hint = nearest(name, found) if found else "`seqline schedule apply` creates those of the configuration"
        raise UserError(f"there is no schedule {name!r}; {hint}")
    return found[name]


def _show(schedule: "Schedule", as_json: bool = False) -> None:
    if as_json:
        print_json(schedule)
        return
    print(f"{schedule.name}: {schedule.state}")
    if schedule.console:
        print(schedule.console)
