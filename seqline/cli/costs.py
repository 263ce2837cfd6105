"""Shows what a run costs: before it, from earlier runs, and after it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqline.cli.json_output import print_json
from seqline.cli.tables import print_table

if TYPE_CHECKING:
    from seqline.targets.target import Run, Target
    from seqline.targets.vertex.costs import Costs


def show_estimate(
    target: "Target", spec: str, arguments: Mapping[str, Any], file: Path | None, as_json: bool = False
) -> None:
    """Prints what a run would cost if no stage were cached.

    Args:
        target: The target.
        spec: As in `Target.run`.
        arguments: Values of its parameters.
        file: The prices; Seqline's own by default.
        as_json: Whether to print JSON.
    """
    from seqline.components.train.options import Options as Training
    from seqline.components.tune.options import Options as Tuning
    from seqline.errors import UnreachableError
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
    if as_json:
        print_json(content_of(costs))
    else:
        show(costs, "estimate")
    if unreachable:
        print(f"earlier runs cannot be read: {unreachable}", file=sys.stderr)
    if prices is None:
        print(f"on target {target.name} a run has no price", file=sys.stderr)
    elif not costs.complete:
        print("unknown amounts are not in the total; after a run they are known", file=sys.stderr)


def show_taken(content: Mapping[str, Any], run: "Run", file: Path | None = None) -> None:
    """Prints what a run on Vertex took.

    Args:
        content: Its compiled pipeline.
        run: The run.
        file: The prices; Seqline's own by default.
    """
    from seqline.targets.vertex.costs import machines, read_prices, taken

    prices = read_prices(file)
    costs = taken(machines(content), run, prices)
    amount = f"about {costs.amount:.2f} {prices.currency} at the prices of {prices.date}"
    doubt = f"; price unverified: {', '.join(costs.unverified)}" if costs.unverified else ""
    print(f"took {costs.hours:.2f} machine hours, {amount}{doubt}")


def read_content(target: "Target", spec: str) -> dict[str, Any]:
    """Reads the compiled pipeline of a file or an uploaded version.

    Args:
        target: The target.
        spec: As in `Target.run`.
    """
    from seqline.schema.spec_files import read_documents

    if "://" in spec:
        templates = target.templates  # type: ignore[attr-defined]
        return dict(next(read_documents(templates.fetch(templates.resolve(spec)))))
    return dict(next(read_documents(Path(spec).read_text(encoding="utf-8"))))


def content_of(costs: "Costs") -> dict[str, Any]:
    """Returns the costs of each stage, and the total, for JSON.

    Args:
        costs: The costs.
    """
    prices = costs.prices
    stages = [
        {
            "stage": cost.task,
            "machine": str(cost.machine or ""),
            "hours": cost.hours,
            "amount": cost.amount,
            "source": cost.source,
        }
        for cost in costs.stages
    ]
    return {
        "stages": stages,
        "hours": costs.hours,
        "amount": costs.amount if prices else None,
        "currency": prices.currency if prices else "",
        "complete": costs.complete,
        "unverified": costs.unverified,
    }


def show(costs: "Costs", title: str) -> None:
    """Prints the costs of each stage, and the total.

    Args:
        costs: The costs.
        title: The table's title.
    """
    prices = costs.prices
    columns = ["stage", "machine", "hours", *([prices.currency] if prices else []), "hours from"]
    rows = []
    for cost in costs.stages:
        hours = "unknown" if cost.hours is None else f"{cost.hours:.2f}"
        amount = "unknown" if cost.amount is None else f"{cost.amount:.2f}"
        amount += "*" if prices and cost.amount and cost.machine and prices.doubtful(cost.machine) else ""
        rows.append([cost.task, str(cost.machine or ""), hours, *([amount] if prices else []), cost.source])
    print_table(columns, rows, "no stage takes time", title)
    unknown = all(cost.hours is None for cost in costs.stages)
    total = "total: unknown" if unknown else f"total: {costs.hours:.2f} machine hours"
    if prices:
        least = "" if costs.complete else "at least "
        total += f", {least}{costs.amount:.2f} {prices.currency} at the prices of {prices.date} in {prices.region}"
    print(total)
    if costs.unverified:
        line = f"* estimate; price unverified: {', '.join(costs.unverified)}"
        print(line)
