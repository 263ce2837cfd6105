"""What every benchmark prints: a table of figures, and with --json one flat object of them."""

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from seqline.atomic import atomic_write


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """The command line that all benchmarks share: --json and --quick.

    Args:
        name: The benchmark's module name.
        description: What it measures, and against whom.
    """
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the figures and ratios to FILE")
    made.add_argument("--quick", action="store_true", help="a smaller run of the same work")
    return made


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table.

    Args:
        title: What was measured.
        columns: Their names.
        rows: Numbers are rounded to three digits that count.
    """
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{cell:,.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console().print(table)


def finish(figures: Mapping[str, float | str], file: Path | None) -> None:
    """Prints the figures and ratios by name, and writes them.

    Args:
        figures: By name, as the documentation calls them.
        file: Where to write them as one flat JSON object, with the machine they were measured on; None for nowhere.
    """
    show("Figures", ["name", "value"], [[name, value] for name, value in figures.items()])
    if file:
        machine = {"machine": platform.machine(), "cores": len(os.sched_getaffinity(0))}
        atomic_write(file, json.dumps({**figures, **machine}, indent=1) + "\n")
