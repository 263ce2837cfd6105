"""Finding the largest batch in few compilations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train.preflight.search import largest_that_fits, spread


@given(
    fixed=st.floats(0, 50),
    slope=st.floats(0.001, 1),
    hidden=st.integers(0, 100),
    first=st.integers(1, 4000),
)
def test_a_reported_batch_was_measured_and_fits(fixed: float, slope: float, hidden: int, first: int) -> None:
    def memory(rows: int) -> float:
        # The first rows are in the core's own memory.
        return fixed + slope * max(0, rows - hidden)

    measured: list[int] = []

    def measure(rows: int) -> float:
        measured.append(rows)
        return memory(rows)

    fits, refused = largest_that_fits(measure, {first: memory(first)}, fixed, 100.0)
    assert fits == 0 or (memory(fits) <= 100 and fits in {first, *measured})
    assert refused == 0 or (memory(refused) > 100 and refused in {first, *measured})
    assert len(measured) <= 5


@pytest.mark.parametrize("first", [8, 64, 3000])
def test_it_comes_near_the_largest_from_either_side(first: int) -> None:
    fits, refused = largest_that_fits(lambda rows: 10 + 0.1 * rows, {first: 10 + 0.1 * first}, 10.0, 100.0)
    assert 800 <= fits <= 900
    assert refused == 0 or refused > 900


def test_nothing_fits_if_the_variables_alone_are_too_large() -> None:
    assert largest_that_fits(lambda rows: 200.0 + rows, {64: 264.0}, 200.0, 100.0)[0] == 0


def test_the_longest_the_most_frequent_and_the_shortest_are_compiled_first() -> None:
    assert list(spread([8, 16, 24, 32, 48], [5, 90, 20, 10, 5], 3)) == [4, 1, 0]
    assert sorted(spread([8, 16, 24, 32, 48], [5, 90, 20, 10, 5], 9)) == [0, 1, 2, 3, 4]
