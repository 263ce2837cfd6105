"""`seqline doctor`: examines this machine and the services."""

from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import ConfigOption, JsonOption, SetOption, read_configuration
from seqline.errors import UserError

MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "error": "[red]✗[/]"}


@examples("seqline doctor", "seqline doctor --target vertex --config project.yaml")
def doctor(
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            "-t",
            envvar="SEQLINE_TARGET",
            metavar="TARGET",
            help="Only this target; repeatable. All configured targets by default.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not contact any service.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Examine this machine and the services.

    On Vertex it also asks for each role of each identity, and names those that are missing.
    """
    from rich.console import Console
    from rich.markup import escape

    from seqline.checking.doctor import examine

    findings = list(examine(read_configuration(config, set_), online=not offline, targets=target or ()))
    if as_json:
        print_json(findings)
    else:
        # No table: it would cut the commands of the advice, which are to be copied.
        console, width = Console(highlight=False), max(len(finding.subject) for finding in findings)
        for finding in findings:
            line = f"{MARKS[finding.state]} {escape(finding.subject.ljust(width))}  {escape(finding.message)}"
            console.print(line, soft_wrap=True)
            if finding.advice:
                console.print(f"  {' ' * width}  [dim]{escape(finding.advice)}[/]", soft_wrap=True)
    errors = sum(finding.state == "error" for finding in findings)
    if errors:
        raise UserError(f"{errors} of {len(findings)} checks failed")
