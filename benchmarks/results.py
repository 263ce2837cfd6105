"""The output of every benchmark: a table of metrics, and with --json one flat object of them."""

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
    """Creates the command line that all benchmarks share: --json and --quick.

    Args:
        name: The benchmark's module name.
        description: What it measures, and its peers.
    """
    flags = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    flags.add_argument("--json", type=Path, metavar="FILE", help="also write the metrics to FILE")
    flags.add_argument("--quick", action="store_true", help="run a smaller version of the benchmark")
    return flags


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table.

    Args:
        title: The table's title.
        columns: The column headers.
        rows: The cells; floats are rounded to four significant digits.
    """
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{cell:,.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console().print(table)


def finish(metrics: Mapping[str, float | str], file: Path | None) -> None:
    """Prints the metrics and writes them to the file.

    Args:
        metrics: Values by the name that the documentation uses.
        file: File for one flat JSON object, which also describes the machine; None to write none.
    """
    show("Metrics", ["name", "value"], list(metrics.items()))
    if file:
        machine = {"machine": platform.machine(), "cores": len(os.sched_getaffinity(0))}
        atomic_write(file, json.dumps({**metrics, **machine}, indent=1) + "\n")
