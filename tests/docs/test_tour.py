"""The notebook and the page that shows it."""

import re

from tests.docs.tour import PAGE, ROOT, read, within_docs

BOOK = read()


def test_no_notebook_in_git_has_outputs() -> None:
    for path in (ROOT / "notebooks").glob("**/*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r'"execution_count": \d', text), f"{path.name}: clear its outputs"
        assert re.findall(r'"outputs": \[(?!\])', text) == [], f"{path.name}: clear its outputs"


def test_the_page_shows_every_cell_as_it_is_now() -> None:
    page = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
    for cell in BOOK.cells:
        shown = re.sub(r"\s+", " ", within_docs(cell.source)).removeprefix("# A tour of Seqline ")
        assert shown in page, "the notebook has changed: run `make tour`"


def test_the_page_has_a_picture_for_each_plot_and_no_error() -> None:
    page = PAGE.read_text(encoding="utf-8")
    plots = [cell for cell in BOOK.cells if "plt.subplots" in cell.source]
    assert len(re.findall(r"\]\(images/tour_\w+\.webp\)", page)) == len(plots)
    assert "Traceback" not in page
    assert "/tmp/" not in page


def test_cells_are_short() -> None:
    assert max(len(cell.source.splitlines()) for cell in BOOK.cells) <= 20


def test_only_the_first_code_cell_installs_and_only_where_seqline_is_missing() -> None:
    code = [cell.source for cell in BOOK.cells if cell.cell_type == "code"]
    assert [number for number, source in enumerate(code) if "pip" in source] == [0]
    before, _, install = code[0].partition("%pip install")
    assert 'if importlib.util.find_spec("seqline") is None:\n    ' in before
    assert install
