"""`seqline schedule`: what the configuration says about schedules, made true."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.cli.options import ConfigOption, JsonOption, SetOption, TargetOption, read_configuration
from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.configuration import Loaded
    from seqline.targets.schedule_plan import Step
    from seqline.targets.target import Schedule, Target

app = typer.Typer(help="Plan and apply schedules; list, pause, resume and delete them.", no_args_is_help=True)

PruneOption = Annotated[bool, typer.Option("--prune", help="Delete Seqline's schedules that the file does not have.")]
NameArgument = Annotated[str, typer.Argument(help="The schedule's name.")]
MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "unchanged": " ", "left alone": " "}


@app.command()
def plan(
    prune: PruneOption = False,
    target: TargetOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what apply would do, and why; changes nothing."""
    _run(target, config, set_, prune, as_json, apply_too=False)


@app.command()
def apply(
    prune: PruneOption = False,
    target: TargetOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the schedules what the configuration says; a second time it changes nothing."""
    _run(target, config, set_, prune, as_json, apply_too=True)


@app.command("list")
def list_(target: TargetOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the schedules that Seqline made."""
    found = _open(target, read_configuration(config, None)).schedules()
    if as_json:
        print(json.dumps([_content(schedule) for schedule in found], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("schedule", "state", "cron", "time zone", "next run", "last run", box=None, header_style="dim")
    for one in found:
        following = one.next_run.strftime("%Y-%m-%d %H:%M %Z") if one.next_run else ""
        table.add_row(one.name, one.state, one.cron, one.timezone, following, one.last_run)
    Console(file=sys.stdout, highlight=False).print(table if found else "no schedules")


@app.command()
def pause(name: NameArgument, target: TargetOption = None, config: ConfigOption = None) -> None:
    """Let a schedule start nothing until it is resumed."""
    place = _open(target, read_configuration(config, None))
    _show(place.pause_schedule(_find(place, name)))


@app.command()
def resume(name: NameArgument, target: TargetOption = None, config: ConfigOption = None) -> None:
    """Let a paused schedule start runs again; those that it missed are not made up for."""
    place = _open(target, read_configuration(config, None))
    _show(place.resume_schedule(_find(place, name)))


@app.command()
def delete(name: NameArgument, target: TargetOption = None, config: ConfigOption = None) -> None:
    """Delete a schedule; its runs stay."""
    place = _open(target, read_configuration(config, None))
    place.delete_schedule(_find(place, name))
    print(f"{name}: deleted")


def _run(target: str | None, config: Any, settings: Any, prune: bool, as_json: bool, apply_too: bool) -> None:
    import tempfile

    from seqline.targets.schedule_plan import carry_out
    from seqline.targets.schedule_plan import plan as make_plan

    loaded = read_configuration(config, settings)
    place = _open(target, loaded)
    with tempfile.TemporaryDirectory() as folder:
        wanted = [_wanted(loaded, place, name, Path(folder)) for name in _names(loaded, place)]
        steps = make_plan(wanted, place.schedules(), place.updatable, prune)
        done: dict[str, Schedule | None] = {}
        if not as_json:
            _print(steps)
        for step in steps if apply_too else []:
            references: dict[str, str] = {}
            if step.wanted and step.action in {"create", "update", "replace"}:
                given = loaded.configuration.schedules[step.name].template
                references[step.name] = given or place.upload(Path(step.wanted.template)).reference
            done[step.name] = carry_out(step, place, references)
            if not as_json and (made := done[step.name]):
                _show(made)
    if as_json:
        print(json.dumps([_step(step, done.get(step.name)) for step in steps], indent=1))


def _names(loaded: "Loaded", place: "Target") -> list[str]:
    return [name for name, settings in loaded.configuration.schedules.items() if settings.target == place.name]


def _wanted(loaded: "Loaded", place: "Target", name: str, folder: Path) -> "Schedule":
    """A schedule of the configuration: with the file that it compiles to, unless it names an uploaded version."""
    from seqline.targets.target import Schedule

    settings = loaded.configuration.schedules[name]
    pipeline = settings.pipeline or loaded.configuration.pipeline
    spec = settings.template or str(place.compile(pipeline, folder / f"{name}.yaml"))
    others = pipeline != loaded.configuration.pipeline
    return Schedule(
        name=name,
        cron=settings.cron,
        timezone=settings.timezone,
        template=spec,
        spec=place.digest(spec),
        settings=place.run_settings(),
        parameters=loaded.arguments(place.parameters(spec), place.name, name, others),
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
    kept = {settings.target for settings in configuration.schedules.values()}
    default = next(iter(kept)) if len(kept) == 1 else configuration.target
    return open_target(target or default, configuration)


def _find(place: "Target", name: str) -> "Schedule":
    from seqline.names import nearest

    found = {schedule.name: schedule for schedule in place.schedules()}
    if name not in found:
        hint = nearest(name, found) if found else "`seqline schedule apply` makes those of the configuration"
        raise UserError(f"there is no schedule {name!r}; {hint}")
    return found[name]


def _print(steps: list["Step"]) -> None:
    for step in steps:
        print(f"{MARKS[step.action]} {step.name:<24} {step.action}")
        for difference in step.differences:
            print(f"    {difference}")


def _show(schedule: "Schedule") -> None:
    print(f"{schedule.name}: {schedule.state}")
    if schedule.console:
        print(schedule.console)


def _step(step: "Step", made: "Schedule | None") -> dict[str, Any]:
    changes = [{"field": one.field, "old": _plain(one.old), "new": _plain(one.new)} for one in step.differences]
    return {
        "name": step.name,
        "action": step.action,
        "differences": changes,
        "schedule": _content(made) if made else None,
    }


def _content(schedule: "Schedule") -> dict[str, Any]:
    from dataclasses import asdict

    return {name: _plain(value) for name, value in asdict(schedule).items()}


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
