"""`seqline doctor`: examines this machine and the services."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from seqline.cli.options import ConfigOption, JsonOption, SetOption, read_configuration
from seqline.cli.tables import print_table
from seqline.errors import UserError


def doctor(
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", "-t", metavar="TARGET", help="Only this target; repeatable. All configured targets by default."
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not contact any service.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Examine this machine and the services, and advise on problems.

    On Vertex it also asks for each role of each identity, and names those that are missing.
    """
    from seqline.checking.doctor import examine

    findings = list(examine(read_configuration(config, set_), online=not offline, targets=target or ()))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        rows = [(one.state, one.subject, one.message, one.advice) for one in findings]
        print_table(("state", "checked", "found", "advice"), rows, "nothing to check")
    errors = sum(finding.state == "error" for finding in findings)
    if errors:
        raise UserError(f"{errors} of {len(findings)} checks failed")
