"""`seqline check`: lists all problems before anything is sent."""

import sys
from typing import Annotated

import typer

from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import ConfigOption, JsonOption, SetOption, read_configuration
from seqline.errors import UserError


@examples("seqline check", "seqline check --offline --set training.epochs=5", "seqline check --target vertex --json")
def check(
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
    deep: Annotated[
        bool, typer.Option("--deep", help="Also run the TPU compiler if training runs on a TPU; takes minutes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List every problem before anything is sent.

    Checks the configuration against the pipelines, the targets and their services.
    """
    from seqline.checking.check import check as find
    from seqline.configuration.loaded import ConfigurationError

    try:
        loaded = read_configuration(config, set_)
        problems = find(loaded, target, online=not offline, deep=deep)
    except ConfigurationError as error:
        problems = error.problems
        if error.rest is not None:
            # The services are asked once the configuration is right.
            problems += [one for one in find(error.rest, online=False) if one not in problems]
    if as_json:
        print_json(problems)
    else:
        for problem in problems:
            print(f"{'warning' if problem.warning else 'error'}: {problem}", file=sys.stderr)
    errors = sum(not problem.warning for problem in problems)
    if errors:
        raise UserError(f"{errors} problem{'s' if errors > 1 else ''}")
    if not as_json:
        names = ", ".join(map(str, loaded.files)) or "the defaults"
        print(f"{names}: no problems")
