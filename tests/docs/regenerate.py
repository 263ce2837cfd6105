"""Writes the generated pages of docs/: `make reference`."""

from collections.abc import Callable
from pathlib import Path

from seqline.configuration.reference import reference as keys_page
from seqline.schema.reference import reference
from tests.docs.artifacts_page import artifacts_page
from tests.docs.commands_page import commands_page

DOCS = Path(__file__).parents[2] / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "parameters.md": reference,
    "keys.md": keys_page,
    "artifacts.md": artifacts_page,
    "commands.md": commands_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
