"""`seqline check`: what is wrong, before anything is sent."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from seqline.cli.options import ConfigOption, JsonOption, SetOption, read_configuration
from seqline.errors import UserError


def check(
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", help="Only this target; repeatable. By default all of the configuration."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no service.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Ask the TPU compiler too, if training runs on a TPU; takes minutes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List every problem before anything is sent. Asks the pipelines, the targets' rules and the services."""
    from seqline.checking.check import check as find
    from seqline.configuration.loaded import ConfigurationError

    try:
        loaded = read_configuration(config, set_)
        problems = find(loaded, target, ask=not offline, deep=deep)
    except ConfigurationError as error:
        problems = error.problems
    if as_json:
        print(json.dumps([asdict(problem) for problem in problems], indent=1))
    else:
        for problem in problems:
            print(f"{'warning' if problem.warning else 'error'}: {problem}", file=sys.stderr)
    errors = sum(not problem.warning for problem in problems)
    if errors:
        raise UserError(f"{errors} problem{'s' if errors > 1 else ''}")
    if not as_json:
        names = ", ".join(map(str, loaded.files)) or "the defaults"
        print(f"{names}: fine")
