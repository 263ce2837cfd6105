"""Shows what a run costs: before it, from earlier runs, and after it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from seqline.targets.target import Run, Target
    from seqline.targets.vertex.costs import Costs


def show_estimate(
    console: "Console", target: "Target", spec: str, arguments: Mapping[str, Any], file: Path | None
) -> None:
    """Prints what a run would cost if no stage were cached.

    Args:
        console: The console to print to.
        target: The target.
        spec: As in `Target.run`.
        arguments: Values of its parameters.
        file: The prices; Seqline's own by default.
    """
    from seqline.targets.vertex.costs import estimate, history, machines, read_prices

    content = _content(target, spec)
    prices = read_prices(file) if target.name == "vertex" else None
    minutes = (arguments.get("training") or {}).get("minutes") or 0
    times = history(target, content["pipelineInfo"]["name"])
    costs = estimate(machines(content), times, prices, float(minutes))
    _show(console, costs, "estimate")
    if prices is None:
        console.print(f"on target {target.name} a run has no price", markup=False)
    elif not costs.complete:
        console.print("what is unknown is not in the total; a run fills it in", markup=False)


def show_taken(console: "Console", target: "Target", spec: str, run: "Run", file: Path | None) -> None:
    """Prints what a run on Vertex took.

    Args:
        console: The console to print to.
        target: The target.
        spec: As in `Target.run`.
        run: The run.
        file: The prices; Seqline's own by default.
    """
    from seqline.targets.vertex.costs import machines, read_prices, taken

    prices = read_prices(file)
    costs = taken(machines(_content(target, spec)), run, prices)
    amount = f"about {costs.amount:.2f} {prices.currency} at the prices of {prices.date}"
    console.print(f"took {costs.hours:.2f} machine hours, {amount}", soft_wrap=True, markup=False)


def _show(console: "Console", costs: "Costs", title: str) -> None:
    from rich.table import Table

    prices = costs.prices
    columns = ["stage", "machine", "hours", *([prices.currency] if prices else []), "hours from"]
    table = Table(*columns, title=title, title_justify="left", box=None, header_style="dim")
    for cost in costs.stages:
        hours = "unknown" if cost.hours is None else f"{cost.hours:.2f}"
        amount = "unknown" if cost.amount is None else f"{cost.amount:.2f}"
        table.add_row(cost.task, str(cost.machine or ""), hours, *([amount] if prices else []), cost.source)
    console.print(table)
    total = f"total: {costs.hours:.2f} machine hours"
    if prices:
        least = "" if costs.complete else "at least "
        total += f", {least}{costs.amount:.2f} {prices.currency} at the prices of {prices.date} in {prices.region}"
    console.print(total, soft_wrap=True, markup=False)


def _content(target: "Target", spec: str) -> dict[str, Any]:
    """The compiled pipeline of a file or an uploaded version."""
    import yaml

    if "://" in spec:
        templates = target.templates  # type: ignore[attr-defined]
        return dict(yaml.safe_load(templates.fetch(templates.resolve(spec))))
    return dict(next(yaml.safe_load_all(Path(spec).read_text(encoding="utf-8"))))
