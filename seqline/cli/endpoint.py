"""`seqline endpoint`: local endpoints, and endpoints on Vertex and KServe."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.cli.choosing import choose, configured, home_of, local_names, location_of
from seqline.cli.confirming import YesOption, confirm
from seqline.cli.examples import examples
from seqline.cli.json_output import print_json
from seqline.cli.options import ApiOption, ConfigOption, EndpointOption, HomeOption, JsonOption, TargetOption
from seqline.cli.tables import print_table
from seqline.errors import UserError
from seqline.paths import expanded

if TYPE_CHECKING:
    from seqline.endpoints.back_end import BackEnd

app = typer.Typer(help="Manage endpoints here, on Vertex and on KServe.", no_args_is_help=True)

STATES = {True: "running", False: "stopped"}
NameArgument = Annotated[
    str | None,
    typer.Argument(
        envvar="SEQLINE_ENDPOINT",
        help="Name of a local endpoint, projects/P/locations/L/endpoints/NAME on Vertex, or kserve://NAMESPACE/NAME; "
        "by default the configuration's, or the only local one.",
        show_default=False,
    ),
]


@app.command("list")
@examples("seqline endpoint list", "seqline endpoint list --on projects/my-project/locations/europe-west4 --json")
def list_(
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="LOCATION",
            help="projects/P/locations/L on Vertex, or kserve://NAMESPACE; by default those of the configured target.",
        ),
    ] = "",
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    api_endpoint: ApiOption = "",
) -> None:
    """List endpoints with their state, live version and address."""
    if not on and home is None:
        configuration = configured(config)
        chosen = target or configuration.target
        on = location_of(configuration, chosen)
        if chosen != "laptop" and not on:
            raise UserError(f"the configuration has no endpoints for {chosen}; name them with --on")
        home = expanded(configuration.targets.laptop.home)
    if on.startswith("kserve://"):
        from seqline.endpoints.kserve.listing import list_endpoints as list_on_kserve

        names = list_on_kserve(on)
    elif on:
        from seqline.endpoints.vertex_listing import list_endpoints

        names = list_endpoints(on, api_endpoint or _api(config))
    else:
        home = home_of(home, config)
        names = local_names(home)
    rows = [_row(name, choose(name, home, config, api_endpoint=api_endpoint)) for name in names]
    if as_json:
        print_json(rows)
        return
    cells = []
    for row in rows:
        shares = " ".join(f"{version}:{share}%" for version, share in row["traffic"].items())
        versions = ", ".join(map(str, row["versions"]))
        cells.append((row["name"], row["state"], row["live"] or "-", shares or "-", versions, row["url"] or "-"))
    print_table(("name", "state", "live", "traffic", "versions", "url"), cells, f"no endpoints in {on or home}")


@app.command()
@examples("seqline endpoint describe translate", "seqline endpoint describe kserve://team/translate --json")
def describe(
    name: NameArgument = None,
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    api_endpoint: ApiOption = "",
) -> None:
    """Show an endpoint's versions.

    Lists their traffic shares, aliases, metrics and model folders.
    """
    chosen = choose(name, home, config, target, api_endpoint)
    state, rated = chosen.state(), _ratings(chosen)
    rows: list[dict[str, Any]] = [
        {
            "version": known.version,
            "share": state.traffic.get(known.version),
            "aliases": [alias for alias, version in state.aliases.items() if version == known.version],
            "created": known.created,
            "metrics": known.metrics,
            "rating": rated.get(str(known.version)),
            "fingerprint": known.fingerprint,
            "rolled_back": state.when_rolled_back(known.fingerprint),
            "model": known.model,
        }
        for known in chosen.versions()
    ]
    if as_json:
        print_json({**_row(name or "", chosen), "versions": rows})
        return
    cells = []
    for row in rows:
        share = "-" if row["share"] is None else f"{row['share']}%"
        names = [*row["aliases"], *([f"rolled back {row['rolled_back']}"] if row["rolled_back"] else [])]
        rating = f"{row['rating']['mean']:.2f} of {row['rating']['count']}" if row["rating"] else ""
        cells.append((row["version"], share, ", ".join(names), row["created"], row["metrics"], rating, row["model"]))
    print(f"{chosen.address()} ({STATES[chosen.runs()]})")
    print_table(("version", "share", "aliases", "created", "metrics", "rating", "model"), cells, "no versions")


def _ratings(chosen: "BackEnd") -> dict[str, dict[str, float]]:
    """The mean and number of the ratings of each version's answers, where there is feedback."""
    address = chosen.samples()
    if not address:
        return {}
    from dataclasses import asdict

    try:
        from seqline.sampling.corrections import ratings

        return {version: asdict(rating) for version, rating in ratings(address).items()}
    except (UserError, ImportError) as error:  # the versions are there without them
        print(f"warning: no ratings: {error}", file=sys.stderr)
        return {}


@app.command()
@examples("seqline endpoint traffic 2=90 3=10", "seqline endpoint traffic 3=100 --endpoint translate")
def traffic(
    shares: Annotated[
        list[str],
        typer.Argument(
            metavar="VERSION=PERCENT", help="Shares in percent by version, such as 2=90 3=10; their sum must be 100."
        ),
    ],
    name: EndpointOption = None,
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    api_endpoint: ApiOption = "",
) -> None:
    """Split the traffic between versions.

    Deploys the versions that are only registered.
    """
    chosen = choose(name, home, config, target, api_endpoint, deploys=True)
    wanted = dict(_share(share) for share in shares)
    if sum(wanted.values()) != 100:
        raise UserError(f"the sum of the shares must be 100%, not {sum(wanted.values())}%")
    registered = [known.version for known in chosen.versions()]
    unknown = [version for version in wanted if version not in registered]
    if unknown:
        raise UserError(f"there is no version {unknown[0]}; available: {', '.join(map(str, registered))}")
    with chosen.locked():
        chosen.prepare()
        for version in wanted:
            chosen.add(version)
        others = dict.fromkeys(chosen.state().traffic, 0)
        chosen.split({**others, **wanted})
    text = " ".join(f"{version}:{share}%" for version, share in chosen.state().traffic.items())
    _report(name, chosen, text, as_json)


@app.command()
@examples("seqline endpoint rollback translate", "seqline endpoint rollback translate --yes")
def rollback(
    name: NameArgument = None,
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    api_endpoint: ApiOption = "",
    yes: YesOption = False,
) -> None:
    """Make the previous version live again.

    Pipelines do not deploy the model that was live again, unless `seqline endpoint allow` permits it.
    """
    from seqline.endpoints.rollout import roll_back

    chosen = choose(name, home, config, target, api_endpoint, deploys=True)
    confirm(f"roll back the endpoint {_name(name, chosen)}", yes)
    with chosen.locked():
        chosen.prepare()
        version = roll_back(chosen)
    _report(name, chosen, f"version {version} is live", as_json)


@app.command()
@examples("seqline endpoint allow 3f9c2a --endpoint translate")
def allow(
    fingerprint: Annotated[str, typer.Argument(help="The model's fingerprint, or its beginning.")],
    name: EndpointOption = None,
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    api_endpoint: ApiOption = "",
) -> None:
    """Allow pipelines to deploy a model again that was rolled back."""
    chosen = choose(name, home, config, target, api_endpoint)
    with chosen.locked():
        known = chosen.state().rolled_back
        found = [one for one in known if one.startswith(fingerprint.lower()) or one.startswith(fingerprint)]
        if len(found) != 1:
            listed = ", ".join(f"{one[:12]} ({when})" for one, when in known.items()) or "none"
            raise UserError(
                f"{fingerprint!r} is not the beginning of exactly one model that was rolled back; available: {listed}"
            )
        chosen.mark_rolled_back(found[0], "")
    _report(name, chosen, f"{found[0][:12]} can be deployed again; run the pipeline to deploy it", as_json)


@app.command()
@examples("seqline endpoint start translate")
def start(
    name: NameArgument = None,
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    api_endpoint: ApiOption = "",
) -> None:
    """Start a stopped endpoint with its last traffic split."""
    chosen = choose(name, home, config, target, api_endpoint, deploys=True)
    with chosen.locked():
        state = chosen.state()  # under the lock: a deployment may just have ended
        if state.champion is None:
            raise UserError(f"{chosen.address()} has no live version yet; run the pipeline to deploy one")
        chosen.prepare()
        chosen.add(state.champion)
        chosen.split(state.traffic or {state.champion: 100})
    _report(name, chosen, f"version {state.champion} is live at {chosen.address()}", as_json)


@app.command()
@examples("seqline endpoint stop translate", "seqline endpoint stop --all --yes")
def stop(
    name: NameArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Stop all local endpoints.")] = False,
    target: TargetOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
    api_endpoint: ApiOption = "",
    yes: YesOption = False,
) -> None:
    """Stop an endpoint; registered versions remain.

    Stops the server of a local endpoint, and undeploys the versions of one on Vertex or KServe.
    """
    names = local_names(home_of(home, config)) if every else [name]
    found = [(known, choose(known, home, config, target, api_endpoint)) for known in names]
    if found:
        # One question for all: a no to a later one would leave some stopped.
        confirm(f"stop the endpoint{'s' * (len(found) > 1)} {', '.join(_name(*one) for one in found)}", yes)
    rows = []
    for known, chosen in found:
        stopped = chosen.stop()
        rows.append({"name": _name(known, chosen), "stopped": stopped})
        if not as_json:
            print(f"{rows[-1]['name']}: {'stopped' if stopped else 'was not running'}")
    if as_json:
        print_json(rows)


def _api(config: Any) -> str:
    vertex = configured(config).targets.vertex
    return vertex.api_address if vertex else ""


def _name(given: str | None, chosen: "BackEnd") -> str:
    """The name of an endpoint: as it was given, or the last part of its address."""
    return given or chosen.address().rpartition("/")[2].partition(":")[0]


def _report(name: str | None, chosen: "BackEnd", text: str, as_json: bool) -> None:
    """Prints what a command has done: a sentence, or the endpoint as `list` shows it."""
    if as_json:
        print_json(_row(name or "", chosen))
    else:
        print(text)


def _row(name: str, chosen: "BackEnd") -> dict[str, Any]:
    state = chosen.state()
    running = chosen.runs()
    return {
        "name": _name(name.rpartition("/")[2], chosen),
        "state": STATES[running],
        "live": state.champion,
        "traffic": state.traffic,
        "versions": [known.version for known in chosen.versions()],
        "url": chosen.address() if running else None,
    }


def _share(given: str) -> tuple[int, int]:
    version, _, share = given.partition("=")
    if not version.isdecimal() or not share.rstrip("%").isdecimal():
        raise UserError(f"{given!r} is not a share; write VERSION=PERCENT, such as 3=10")
    return int(version), int(share.rstrip("%"))
