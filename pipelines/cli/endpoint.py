"""`seqline endpoint`: the local endpoints."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from components.errors import UserError
from components.serve.endpoint import Endpoint

app = typer.Typer(help="List and stop the local endpoints.", no_args_is_help=True)

HomeOption = Annotated[Path, typer.Option("--home", help="Folder of runs, caches and endpoints.")]


def endpoints(home: Path) -> list[Endpoint]:
    """The local endpoints.

    Args:
        home: The laptop's folder, `.seqline` by default.
    """
    return [Endpoint(found.parent.resolve()) for found in sorted((home / "endpoints").glob("*/endpoint.json"))]


def choose(home: Path, name: str | None) -> Endpoint:
    """Finds one endpoint.

    Args:
        home: The laptop's folder.
        name: Its name; may be left out where there is only one.

    Raises:
        UserError: If there is none of that name, or several and no name.
    """
    known = {endpoint.path.name: endpoint for endpoint in endpoints(home)}
    if not known:
        raise UserError(f"there is no endpoint in {home}; `seqline run --data FILE` makes one")
    if name is None and len(known) > 1:
        raise UserError(f"there are several endpoints: {', '.join(known)}; name one with --endpoint")
    if name is not None and name not in known:
        raise UserError(f"there is no endpoint {name!r}; there are: {', '.join(known)}")
    return known[name or next(iter(known))]


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    home: HomeOption = Path(".seqline"),
) -> None:
    """List the local endpoints, what is live on them and where."""
    rows = [_row(endpoint) for endpoint in endpoints(home)]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "state", "live", "versions", "url")
    for row in rows:
        versions = ", ".join(str(version) for version in row["versions"])
        table.add_row(row["name"], row["state"], str(row["live"] or "-"), versions, row["url"] or "-")
    Console().print(table if rows else f"no endpoints in {home}")


def _row(endpoint: Endpoint) -> dict[str, Any]:
    settings = endpoint.read()
    running = settings is not None and endpoint.process() is not None
    return {
        "name": endpoint.path.name,
        "state": "running" if running else "stopped",
        "live": settings.live if settings else None,
        "versions": [version.version for version in endpoint.versions()],
        "url": settings.predict_url if settings and running else None,
    }


@app.command()
def stop(
    name: Annotated[str | None, typer.Argument(help="The endpoint; may be left out where there is only one.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Stop all of them.")] = False,
    home: HomeOption = Path(".seqline"),
) -> None:
    """Stop an endpoint's server; requests in flight are answered first."""
    for endpoint in endpoints(home) if every else [choose(home, name)]:
        stopped = endpoint.stop()
        print(f"{endpoint.path.name}: {'stopped' if stopped else 'was not running'}")
