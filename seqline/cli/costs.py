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
    from seqline.components.train.options import Options as Training
    from seqline.components.tune.options import Options as Tuning
    from seqline.targets.target import UnreachableError
    from seqline.targets.vertex.costs import Limits, Times, estimate, history, machines, read_prices

    content = read_content(target, spec)
    prices = read_prices(file) if target.name == "vertex" else None
    training, tuning = (arguments.get(name) or {} for name in ("training", "tuning"))
    limits = Limits(
        float(training.get("minutes", Training().minutes)),
        int(tuning.get("trials", Tuning().trials)),
        float(tuning.get("trial_minutes", Tuning().trial_minutes)),
    )
    times, unreachable = Times(), ""
    try:
        times = history(target, content["pipelineInfo"]["name"])
    except UnreachableError as error:
        # Before the first run, or the first login, there is none to read anyway.
        unreachable = str(error)
    costs = estimate(machines(content), times, prices, limits)
    show(console, costs, "estimate")
    if unreachable:
        console.print(f"earlier runs cannot be read: {unreachable}", soft_wrap=True, markup=False)
    if prices is None:
        console.print(f"on target {target.name} a run has no price", markup=False)
    elif not costs.complete:
        console.print("unknown amounts are not in the total; after a run they are known", markup=False)


def show_taken(console: "Console", content: Mapping[str, Any], run: "Run", file: Path | None = None) -> None:
    """Prints what a run on Vertex took.

    Args:
        console: The console to print to.
        content: Its compiled pipeline.
        run: The run.
        file: The prices; Seqline's own by default.
    """
    from seqline.targets.vertex.costs import machines, read_prices, taken

    prices = read_prices(file)
    costs = taken(machines(content), run, prices)
    amount = f"about {costs.amount:.2f} {prices.currency} at the prices of {prices.date}"
    doubt = f"; price unverified: {', '.join(costs.unverified)}" if costs.unverified else ""
    console.print(f"took {costs.hours:.2f} machine hours, {amount}{doubt}", soft_wrap=True, markup=False)


def read_content(target: "Target", spec: str) -> dict[str, Any]:
    """Reads the compiled pipeline of a file or an uploaded version.

    Args:
        target: The target.
        spec: As in `Target.run`.
    """
    import yaml

    if "://" in spec:
        templates = target.templates  # type: ignore[attr-defined]
        return dict(yaml.safe_load(templates.fetch(templates.resolve(spec))))
    return dict(next(yaml.safe_load_all(Path(spec).read_text(encoding="utf-8"))))


def show(console: "Console", costs: "Costs", title: str) -> None:
    """Prints the costs of each stage, and the total.

    Args:
        console: The console to print to.
        costs: The costs.
        title: The table's title.
    """
    from rich.table import Table

    prices = costs.prices
    columns = ["stage", "machine", "hours", *([prices.currency] if prices else []), "hours from"]
    table = Table(*columns, title=title, title_justify="left", box=None, header_style="dim")
    for cost in costs.stages:
        hours = "unknown" if cost.hours is None else f"{cost.hours:.2f}"
        amount = "unknown" if cost.amount is None else f"{cost.amount:.2f}"
        amount += "*" if prices and cost.amount and cost.machine and prices.doubtful(cost.machine) else ""
        table.add_row(cost.task, str(cost.machine or ""), hours, *([amount] if prices else []), cost.source)
    console.print(table)
    total = f"total: {costs.hours:.2f} machine hours"
    if prices:
        least = "" if costs.complete else "at least "
        total += f", {least}{costs.amount:.2f} {prices.currency} at the prices of {prices.date} in {prices.region}"
    console.print(total, soft_wrap=True, markup=False)
    if costs.unverified:
        line = f"* estimate; price unverified: {', '.join(costs.unverified)}"
        console.print(line, soft_wrap=True, markup=False)
