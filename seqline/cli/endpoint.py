"""`seqline endpoint`: endpoints, here and on Vertex."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqline.errors import UserError

if TYPE_CHECKING:
    from seqline.endpoints.back_end import BackEnd

app = typer.Typer(help="List, describe and steer endpoints, here and on Vertex.", no_args_is_help=True)

NameArgument = Annotated[
    str | None,
    typer.Argument(
        help="A local endpoint's name, which may be left out where there is only one; or "
        "projects/P/locations/L/endpoints/NAME on Vertex.",
        show_default=False,
    ),
]
HomeOption = Annotated[Path, typer.Option("--home", help="Folder of runs, caches and endpoints.")]
ApiOption = Annotated[str, typer.Option("--api-endpoint", help="Host of the Vertex API; by default the region's own.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def local_names(home: Path) -> list[str]:
    """The local endpoints' names.

    Args:
        home: The laptop's folder, `.seqline` by default.
    """
    return [found.parent.name for found in sorted((home / "endpoints").glob("*/endpoint.json"))]


def choose(home: Path, name: str | None, api_endpoint: str = "") -> "BackEnd":
    """Finds one endpoint.

    Args:
        home: The laptop's folder.
        name: A local endpoint's name, or one on Vertex; may be left out where there is only one here.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Raises:
        UserError: If there is none of that name, or several and no name.
    """
    from seqline.endpoints.opening import open_back_end

    if name and name.startswith("projects/"):
        return open_back_end(name, api_endpoint=api_endpoint)
    known = local_names(home)
    if not known:
        raise UserError(f"there is no endpoint in {home}; `seqline run --data FILE` makes one")
    if name is None and len(known) > 1:
        raise UserError(f"there are several endpoints: {', '.join(known)}; name one")
    if name is not None and name not in known:
        raise UserError(f"there is no endpoint {name!r}; there are: {', '.join(known)}")
    return open_back_end(str(home.resolve() / "endpoints" / (name or known[0])))


@app.command("list")
def list_(
    on: Annotated[str, typer.Option("--on", help="projects/P/locations/L, for the endpoints on Vertex.")] = "",
    as_json: JsonOption = False,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
) -> None:
    """List the endpoints, what is live on them and where."""
    if on:
        from seqline.endpoints.vertex import list_endpoints

        names = list_endpoints(on, api_endpoint)
    else:
        names = local_names(home)
    rows = [_row(name, choose(home, name, api_endpoint)) for name in names]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "state", "live", "traffic", "versions", "url")
    for row in rows:
        traffic = " ".join(f"{version}:{share}%" for version, share in row["traffic"].items())
        versions = ", ".join(map(str, row["versions"]))
        table.add_row(row["name"], row["state"], str(row["live"] or "-"), traffic or "-", versions, row["url"] or "-")
    Console().print(table if rows else f"no endpoints in {on or home}")


@app.command()
def describe(
    name: NameArgument = None,
    as_json: JsonOption = False,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
) -> None:
    """Show an endpoint's versions: shares, aliases, figures, where their models are."""
    chosen = choose(home, name, api_endpoint)
    state = chosen.state()
    rows = [
        {
            "version": known.version,
            "share": state.traffic.get(known.version),
            "aliases": [alias for alias, version in state.aliases.items() if version == known.version],
            "created": known.created,
            "figures": known.figures,
            "fingerprint": known.fingerprint,
            "model": known.model,
        }
        for known in chosen.versions()
    ]
    if as_json:
        print(json.dumps({**_row(name or "", chosen), "versions": rows}, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("version", "share", "aliases", "created", "figures", "model", title=chosen.address())
    for row in rows:
        share = "-" if row["share"] is None else f"{row['share']}%"
        cells = (row["version"], share, ", ".join(row["aliases"]), row["created"], row["figures"], row["model"])  # type: ignore[arg-type]
        table.add_row(*map(str, cells))
    Console().print(table)


@app.command()
def traffic(
    shares: Annotated[list[str], typer.Argument(help="Shares in percent by version: 2=90 3=10; together 100.")],
    name: Annotated[str | None, typer.Option("--endpoint", help="As for the other commands.")] = None,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
) -> None:
    """Split the traffic between deployed versions; one that is registered only is deployed first."""
    chosen = choose(home, name, api_endpoint)
    wanted = dict(_share(share) for share in shares)
    if sum(wanted.values()) != 100:
        raise UserError(f"the shares are {sum(wanted.values())}% together; they must be 100")
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
def rollback(name: NameArgument = None, home: HomeOption = Path(".seqline"), api_endpoint: ApiOption = "") -> None:
    """Make the version before the live one live again."""
    from seqline.endpoints.rollout import roll_back

    chosen = choose(home, name, api_endpoint)
    with chosen.locked():
        chosen.prepare()
        version = roll_back(chosen)
    print(f"version {version} is live")


@app.command()
def start(name: NameArgument = None, home: HomeOption = Path(".seqline"), api_endpoint: ApiOption = "") -> None:
    """Start an endpoint that was stopped, with what was live on it."""
    chosen = choose(home, name, api_endpoint)
    state = chosen.state()
    if state.champion is None:
        raise UserError(f"nothing was ever live on {chosen.address()}; run the pipeline, and it is deployed there")
    with chosen.locked():
        chosen.prepare()
        chosen.add(state.champion)
        chosen.split(state.traffic or {state.champion: 100})
    print(f"version {state.champion} is live at {chosen.address()}")


@app.command()
def stop(
    name: NameArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Stop all local ones.")] = False,
    home: HomeOption = Path(".seqline"),
    api_endpoint: ApiOption = "",
) -> None:
    """Stop an endpoint: its server here, its deployed versions on Vertex; what is registered stays."""
    for known in local_names(home) if every else [name]:
        chosen = choose(home, known, api_endpoint)
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
        raise UserError(f"{given!r} is no share; write version=percent, as in 3=10")
    return int(version), int(share.rstrip("%"))
