"""The site of docs/: its navigation, its generated pages and its pictures."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomllib

from tests.docs.regenerate import DOCS, PAGES
from tests.docs.screenshots import IMAGES, PICTURES

SITE = tomllib.loads((DOCS.parent / "zensical.toml").read_text(encoding="utf-8"))["project"]


def pages(nav: Any) -> Iterator[str]:
    for entry in nav:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else pages(value)


def test_the_navigation_has_every_page_once() -> None:
    listed = list(pages(SITE["nav"]))
    assert sorted(listed) == sorted(path.name for path in DOCS.glob("*.md"))


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_equals_the_code(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make reference`"


def test_every_page_begins_with_one_title() -> None:
    for path in DOCS.glob("*.md"):
        text = re.sub(r"(?ms)^ *```.*?^ *```", "", path.read_text(encoding="utf-8"))
        assert text.startswith("# "), path.name
        assert len(re.findall(r"(?m)^# ", text)) == 1, path.name


def test_the_pictures_are_small_and_all_are_shown_and_made_by_the_script() -> None:
    images = list(IMAGES.iterdir())
    assert sum(path.stat().st_size for path in images) < 1_500_000
    texts = "".join(path.read_text(encoding="utf-8") for path in [*DOCS.glob("*.md"), DOCS.parent / "README.md"])
    for path in images:
        assert path.stem in PICTURES or path.stem.startswith("tour_")  # `make tour`
        assert f"images/{path.name}" in texts
    for name in re.findall(r"\((?:docs/)?images/([\w.-]+)\)", texts):
        assert (IMAGES / name).is_file()


def test_a_link_between_pages_is_relative_to_the_site() -> None:
    for path in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)\)", path.read_text(encoding="utf-8")):
            assert not Path(target).is_absolute()
            assert ".." not in target, f"{path.name}: {target} is not part of the site"
