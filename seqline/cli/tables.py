"""Tables on standard output: fitted to a terminal; elsewhere whole, one row a line, for grep and awk."""

import sys
from collections.abc import Sequence
from typing import Any


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str, title: str = "") -> None:
    """Prints a table.

    Args:
        columns: The names of the columns.
        rows: The cells of each row.
        empty: What to print instead if there are no rows.
        title: A line above the table, on a terminal.
    """
    if not rows:
        print(empty)
        return
    cells = [[" ".join(str(cell).split()) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(*columns, box=None, header_style="dim", title=title or None, title_justify="left")
        for row in cells:
            table.add_row(*map(escape, row))
        Console(file=sys.stdout, highlight=False).print(table)
        return
    # An empty cell would shift the columns of those that split at spaces.
    lines = [[name.upper() for name in columns], *([cell or "-" for cell in row] for row in cells)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
