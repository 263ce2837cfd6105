from pathlib import Path

from seqline.schema.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "parameters.md"


def test_the_page_of_parameters_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_a_default_and_its_bounds_are_in_the_table() -> None:
    assert "| `dropout` | number, at least 0 and below 1 | `0.1` |" in reference()
