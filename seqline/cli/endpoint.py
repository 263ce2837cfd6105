"""`seqline endpoint`: local endpoints, and endpoints on Vertex and KServe."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.cli.confirming import YesOption, confirm
from seqline.cli.options import at_home
from seqline.cli.tables import print_table
from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.components.deploy.options import Options
    from seqline.endpoints.back_end import BackEnd
    from seqline.endpoints.vertex_hosting import Hosting

app = typer.Typer(help="Manage endpoints here, on Vertex and on KServe.", no_args_is_help=True)

NameArgument = Annotated[
    str | None,
    typer.Argument(
        help="Name of a local endpoint, optional if there is only one; or projects/P/locations/L/endpoints/NAME on "
        "Vertex, or kserve://NAMESPACE/NAME on KServe.",
        show_default=False,
    ),
]
NamedOption = Annotated[
    str | None, typer.Option("--endpoint", metavar="NAME", help="Name of the endpoint, as in the other commands.")
]
HomeOption = Annotated[
    Path, typer.Option("--home", callback=at_home, metavar="PATH", help="Folder of runs, caches and endpoints.")
]
ApiOption = Annotated[
    str, typer.Option("--api-endpoint", metavar="HOST", help="Host of the Vertex API; the region's own by default.")
]
AddressOption = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="IP address or DNS name of a private endpoint on Vertex, in your network; or address of KServe's ingress "
        "gateway, such as http://10.0.0.1, where the endpoint's own name does not resolve.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def local_names(home: Path) -> list[str]:
    """Returns the names of the local endpoints.

    Args:
        home: The laptop's folder, `.seqline` by default.
    """
    return [found.parent.name for found in sorted((home / "endpoints").glob("*/endpoint.json"))]


def choose(home: Path, name: str | None, api_endpoint: str = "", address: str = "", deploys: bool = False) -> "BackEnd":
    """Finds one endpoint.

    Args:
        home: The laptop's folder.
        name: A local endpoint's name, or one on Vertex or KServe; optional if there is one local endpoint.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        address: Address of a private endpoint on Vertex, or of KServe's gateway; empty for the endpoint's own.
        deploys: Whether the command may deploy a version on Vertex or KServe, on the machines of the configuration.

    Raises:
        UserError: If there is no such endpoint, or there are several and no name is given.
    """
    from seqline.endpoints.names import KSERVE
    from seqline.endpoints.opening import open_back_end
    from seqline.endpoints.vertex_hosting import Hosting

    if name and name.startswith(KSERVE):
        return open_back_end(name, on_kserve=_on_kserve(name, address, deploys))
    if name and name.startswith("projects/"):
        hosting = _hosting(name) if deploys else Hosting()
        access = replace(hosting.access, address=address or hosting.access.address)
        return open_back_end(name, hosting=replace(hosting, access=access), api_endpoint=api_endpoint)
    known = local_names(home)
    if not known:
        raise UserError(f"there is no endpoint in {home}; `seqline run --data FILE` creates one")
    if name is None and len(known) > 1:
        raise UserError(f"there are several endpoints: {', '.join(known)}; name one")
    if name is not None and name not in known:
        raise UserError(f"there is no endpoint {name!r}; there are: {', '.join(known)}")
    return open_back_end(str(home.resolve() / "endpoints" / (name or known[0])))


def _hosting(name: str) -> "Hosting":
    """How the configuration hosts an endpoint on Vertex, if it is the configuration's own."""
    from seqline.components.deploy.hosting import hosting_of
    from seqline.components.deploy.options import Cloud
    from seqline.endpoints.vertex_hosting import Hosting

    found = _configured(name, "vertex")
    if found is None:
        return Hosting()
    options, vertex = found
    return hosting_of(options, Cloud(encryption_key=vertex.encryption_key, labels=dict(vertex.labels)))


def _on_kserve(name: str, address: str, deploys: bool) -> Any:
    """How the configuration hosts an endpoint on KServe; None for the machines that its versions had."""
    from seqline.components.deploy.hosting import kserve_hosting_of
    from seqline.endpoints.kserve.hosting import Hosting

    targets = ("kubeflow", "vertex")
    found = next(filter(None, (_configured(name, target, warns=deploys) for target in targets)), None)
    if found is None:
        return Hosting(gateway=address) if address else None
    hosting = kserve_hosting_of(found[0])
    # Without an image the versions' own predictors count.
    return replace(hosting, gateway=address or hosting.gateway, image=hosting.image if deploys else "")


def _configured(name: str, target: str, warns: bool = True) -> "tuple[Options, Any] | None":
    """The serving options of a target and the target, if the endpoint is the configuration's own."""
    from seqline.cli.options import pipeline_arguments, read_configuration
    from seqline.components.deploy.options import Options

    try:
        loaded = read_configuration(None, None)
        settings = getattr(loaded.configuration.targets, target)
        arguments = pipeline_arguments(loaded, "training", target) if settings is not None else {}
    except UserError as error:
        # A rollback must not fail for that.
        if warns:
            print(f"warning: a version that is not deployed yet gets the default machines: {error}", file=sys.stderr)
        return None
    if settings is None or arguments.get("endpoint") != name:
        return None
    return Options(**arguments.get("serving", {})), settings


@app.command("list")
def list_(
    on: Annotated[
        str, typer.Option("--on", metavar="LOCATION", help="projects/P/locations/L on Vertex, or kserve://NAMESPACE.")
    ] = "",
    as_json: JsonOption = False,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
) -> None:
    """List endpoints with their state, live version and address."""
    if on.startswith("kserve://"):
        from seqline.endpoints.kserve.listing import list_endpoints as list_on_kserve

        names = list_on_kserve(on)
    elif on:
        from seqline.endpoints.vertex_listing import list_endpoints

        names = list_endpoints(on, api_endpoint)
    else:
        names = local_names(home)
    rows = [_row(name, choose(home, name, api_endpoint)) for name in names]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    cells = []
    for row in rows:
        shares = " ".join(f"{version}:{share}%" for version, share in row["traffic"].items())
        versions = ", ".join(map(str, row["versions"]))
        cells.append((row["name"], row["state"], row["live"] or "-", shares or "-", versions, row["url"] or "-"))
    print_table(("name", "state", "live", "traffic", "versions", "url"), cells, f"no endpoints in {on or home}")


@app.command()
def describe(
    name: NameArgument = None,
    as_json: JsonOption = False,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
) -> None:
    """Show an endpoint's versions.

    Lists their traffic shares, aliases, metrics and model folders.
    """
    chosen = choose(home, name, api_endpoint)
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
        print(json.dumps({**_row(name or "", chosen), "versions": rows}, indent=1))
        return
    cells = []
    for row in rows:
        share = "-" if row["share"] is None else f"{row['share']}%"
        names = [*row["aliases"], *([f"rolled back {row['rolled_back']}"] if row["rolled_back"] else [])]
        rating = f"{row['rating']['mean']:.2f} of {row['rating']['count']}" if row["rating"] else ""
        cells.append((row["version"], share, ", ".join(names), row["created"], row["metrics"], rating, row["model"]))
    print(chosen.address())
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
def traffic(
    shares: Annotated[
        list[str], typer.Argument(help="Shares in percent by version, such as 2=90 3=10; their sum must be 100.")
    ],
    name: NamedOption = None,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
) -> None:
    """Split the traffic between versions.

    Deploys the versions that are only registered.
    """
    chosen = choose(home, name, api_endpoint, deploys=True)
    wanted = dict(_share(share) for share in shares)
    if sum(wanted.values()) != 100:
        raise UserError(f"the sum of the shares must be 100%, not {sum(wanted.values())}%")
    registered = [known.version for known in chosen.versions()]
    unknown = [version for version in wanted if version not in registered]
    if unknown:
        raise UserError(f"there is no version {unknown[0]}; there are: {', '.join(map(str, registered))}")
    with chosen.locked():
        chosen.prepare()
        for version in wanted:
            chosen.add(version)
        others = dict.fromkeys(chosen.state().traffic, 0)
        chosen.split({**others, **wanted})
    print(" ".join(f"{version}:{share}%" for version, share in chosen.state().traffic.items()))


@app.command()
def rollback(
    name: NameArgument = None,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
    yes: YesOption = False,
) -> None:
    """Make the previous version live again.

    Pipelines do not deploy the model that was live again, unless `seqline endpoint allow` permits it.
    """
    from seqline.endpoints.rollout import roll_back

    chosen = choose(home, name, api_endpoint, deploys=True)
    confirm(f"roll back {chosen.address()}", yes)
    with chosen.locked():
        chosen.prepare()
        version = roll_back(chosen)
    print(f"version {version} is live")


@app.command()
def allow(
    fingerprint: Annotated[str, typer.Argument(help="The model's fingerprint, or its beginning.")],
    name: NamedOption = None,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
) -> None:
    """Allow pipelines to deploy a model again that was rolled back."""
    chosen = choose(home, name, api_endpoint)
    with chosen.locked():
        known = chosen.state().rolled_back
        found = [one for one in known if one.startswith(fingerprint.lower()) or one.startswith(fingerprint)]
        if len(found) != 1:
            listed = ", ".join(f"{one[:12]} ({when})" for one, when in known.items()) or "none"
            raise UserError(
                f"{fingerprint!r} is not the beginning of exactly one model that was rolled back; there are: {listed}"
            )
        chosen.mark_rolled_back(found[0], "")
    print(f"{found[0][:12]} may be deployed again; run the pipeline to deploy it")


@app.command()
def start(name: NameArgument = None, home: HomeOption = Path(".seqline"), api_endpoint: ApiOption = "") -> None:
    """Start a stopped endpoint with its last traffic split."""
    chosen = choose(home, name, api_endpoint, deploys=True)
    with chosen.locked():
        state = chosen.state()  # under the lock: a deployment may just have ended
        if state.champion is None:
            raise UserError(f"{chosen.address()} has no live version yet; run the pipeline to deploy one")
        chosen.prepare()
        chosen.add(state.champion)
        chosen.split(state.traffic or {state.champion: 100})
    print(f"version {state.champion} is live at {chosen.address()}")


@app.command()
def stop(
    name: NameArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Stop all local endpoints.")] = False,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
    yes: YesOption = False,
) -> None:
    """Stop an endpoint; registered versions remain.

    Stops the server of a local endpoint, and undeploys the versions of one on Vertex or KServe.
    """
    for known in local_names(home) if every else [name]:
        chosen = choose(home, known, api_endpoint)
        confirm(f"stop {chosen.address()}", yes)
        stopped = chosen.stop()
        print(
            f"{known or Path(chosen.address()).name.partition(':')[0]}: {'stopped' if stopped else 'was not running'}"
        )


def _row(name: str, chosen: "BackEnd") -> dict[str, Any]:
    state = chosen.state()
    running = chosen.runs()
    return {
        "name": name.rpartition("/")[2] or chosen.address().rpartition("/")[2].partition(":")[0],
        "state": "running" if running else "stopped",
        "live": state.champion,
        "traffic": state.traffic,
        "versions": [known.version for known in chosen.versions()],
        "url": chosen.address() if running else None,
    }


def _share(given: str) -> tuple[int, int]:
    version, _, share = given.partition("=")
    if not version.isdecimal() or not share.rstrip("%").isdecimal():
        raise UserError(f"{given!r} is not a share; write version=percent, such as 3=10")
    return int(version), int(share.rstrip("%"))
