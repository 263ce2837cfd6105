"""`seqline trigger`: applies the triggers of the configuration, with which new data starts runs on Vertex."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.cli.confirming import YesOption, confirm
from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import ConfigOption, JsonOption, SetOption, read_configuration
from seqline.cli.steps import confirm_deletions, print_steps, step_content
from seqline.cli.tables import print_table
from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.configuration import Loaded
    from seqline.targets.vertex.target import Vertex
    from seqline.targets.vertex.triggers import Trigger, Triggers

app = typer.Typer(help="Plan, apply and manage triggers: new data starts a run.", no_args_is_help=True)

PruneOption = Annotated[
    bool, typer.Option("--prune", help="Delete Seqline's triggers that are not in the configuration.")
]
NameArgument = Annotated[str, typer.Argument(help="Name of the trigger.")]


@app.command()
@examples("seqline trigger plan")
def plan(
    prune: PruneOption = False, config: ConfigOption = None, set_: SetOption = None, as_json: JsonOption = False
) -> None:
    """Show what apply would change, and why."""
    _run(config, set_, prune, as_json, apply_too=False)


@app.command()
@examples("seqline trigger apply", "seqline trigger apply --prune --yes")
def apply(
    prune: PruneOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Create and update the configured triggers; idempotent."""
    _run(config, set_, prune, as_json, apply_too=True, yes=yes)


@app.command("list")
@examples("seqline trigger list", "seqline trigger list --json")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List Seqline's triggers."""
    _, triggers = _open(read_configuration(config, None))
    found = triggers.found()
    if as_json:
        print_json(found)
        return
    rows = [
        (one.name, one.state, f"gs://{one.bucket}/{one.pattern}", f"{one.quiet_seconds} s", one.template[-19:])
        for one in found
    ]
    print_table(("trigger", "state", "objects", "quiet", "template"), rows, "no triggers")


@app.command()
@examples("seqline trigger delete new-data")
def delete(
    name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False, yes: YesOption = False
) -> None:
    """Delete a trigger; its runs remain."""
    from seqline.names import nearest

    _, triggers = _open(read_configuration(config, None))
    found = {trigger.name: trigger for trigger in triggers.found()}
    if name not in found:
        hint = nearest(name, found) if found else "`seqline trigger apply` creates those of the configuration"
        raise UserError(f"there is no trigger {name!r}; {hint}")
    confirm(f"delete the trigger {name}", yes)
    triggers.delete(found[name])
    print_json({"name": name, "deleted": True}) if as_json else print(f"{name}: deleted")


def _run(config: Any, settings: Any, prune: bool, as_json: bool, apply_too: bool, yes: bool = False) -> None:
    import tempfile

    from seqline.targets.schedule_plan import steps as make_steps
    from seqline.targets.vertex.triggers import differences

    loaded = read_configuration(config, settings)
    opened, triggers = _open(loaded)
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Path] = {}
        wanted = [
            _wanted(loaded, opened, triggers, name, Path(folder), files) for name in loaded.configuration.triggers
        ]
        steps = make_steps(wanted, triggers.found(), differences, triggers.updatable, prune)
        if not as_json:
            print_steps(steps, "trigger")
        if apply_too:
            confirm_deletions(steps, yes)
        changed = [step for step in steps if apply_too and step.action in {"create", "update", "replace"}]
        # Everything that can fail before the first change of a trigger does so here.
        for name in {step.name for step in changed} & set(files):
            opened.upload(files[name])
        done: dict[str, Trigger] = {}
        for step in steps if apply_too else []:
            if step.action == "delete" and step.existing:
                triggers.delete(step.existing)
            if step in changed and step.wanted:
                done[step.name] = made = triggers.save(step.wanted, step.existing)
                if not as_json:
                    print(f"{made.name}: {made.state}\n{made.console}")
    if as_json:
        print_json([step_content(step, done.get(step.name), "trigger") for step in steps])


def _wanted(
    loaded: "Loaded", opened: "Vertex", triggers: "Triggers", name: str, folder: Path, files: dict[str, Path]
) -> "Trigger":
    """Returns a trigger of the configuration; its compiled file is added to `files` unless it names a version."""
    from seqline.targets.vertex.triggers import Trigger

    settings = loaded.configuration.triggers[name]
    pipeline = settings.pipeline or loaded.configuration.pipeline
    if settings.template:
        spec, reference = settings.template, opened.templates.resolve(settings.template)
    else:
        files[name] = opened.compile(pipeline, folder / f"{name}.yaml")
        spec, reference = str(files[name]), opened.templates.reference(files[name])
    if not reference.startswith(("https://", "http://")):
        raise UserError(
            f"triggers.{name}: {reference} is not in Artifact Registry, from which Vertex reads a trigger's template; "
            "set targets.vertex.repository"
        )
    others = pipeline != loaded.configuration.pipeline
    wanted = Trigger(
        name=name,
        bucket=settings.bucket,
        pattern=settings.pattern,
        quiet_seconds=settings.quiet_seconds,
        service_account=settings.account(opened.settings.project),
        template=reference,
        settings=opened.run_settings(),
        parameters=loaded.arguments(opened.parameters(spec), "vertex", others=others, trigger=name),
    )
    return triggers.complete(wanted)


def _open(loaded: "Loaded") -> "tuple[Vertex, Triggers]":
    from typing import cast

    from seqline.targets import open_target

    opened = cast("Vertex", open_target("vertex", loaded.configuration))
    from seqline.targets.vertex.triggers import Triggers

    return opened, Triggers(opened.connection)
