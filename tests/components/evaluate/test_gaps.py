import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqline.artifacts.evaluation import MetricValue, Slice
from seqline.components.evaluate.gaps import gaps


def one(slicing: str, value: float, sentences: int = 20, metric: str = "bleu") -> Slice:
    return Slice(slicing, f"{slicing} {value}", sentences, {metric: MetricValue(value, True, "s")})


def test_a_gap_is_the_best_slice_less_the_worst_of_one_kind() -> None:
    slices = [one("length", 30), one("length", 10), one("length", 20), one("slice", 50), one("slice", 45)]
    found = gaps(slices, "translation", 20)
    assert {name: gap.value for name, gap in found.items()} == {"gap_length": 20, "gap_slice": 5, "widest_gap": 20}
    assert [gap.higher_is_better for gap in found.values()] == [False] * 3
    assert found["gap_slice"].signature == "bleu of the best slice less the worst|slices of at least 20 sentences"
    assert found["widest_gap"].signature == ("widest of gap_length, gap_slice in bleu|slices of at least 20 sentences")


@pytest.mark.parametrize(
    ("sizes", "least", "found"), [((20, 20), 20, True), ((20, 19), 20, False), ((1, 1), 0, True), ((1, 0), 0, False)]
)
def test_small_slices_are_excluded(sizes: tuple[int, int], least: int, found: bool) -> None:
    slices = [one("terms", value, size) for value, size in zip((10.0, 30.0), sizes, strict=True)]
    assert bool(gaps(slices, "translation", least)) is found


def test_the_gap_is_in_the_tasks_own_metric() -> None:
    slices = [one("terms", value, metric="rougeLsum") for value in (1.0, 4.0)]
    assert gaps(slices, "summarization", 1)["gap_terms"].value == 3


@given(st.lists(st.tuples(st.sampled_from(["length", "slice", "terms"]), st.integers(0, 100)), max_size=12))
def test_the_widest_gap_is_one_of_the_gaps(values: list[tuple[str, int]]) -> None:
    found = {name: gap.value for name, gap in gaps([one(*value) for value in values], "translation", 1).items()}
    widest = found.pop("widest_gap", None)
    assert widest == (max(found.values()) if found else None)
    kinds = [kind for kind, _ in values]
    assert set(found) == {f"gap_{kind}" for kind in kinds if kinds.count(kind) > 1}
