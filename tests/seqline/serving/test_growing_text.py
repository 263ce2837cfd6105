"""Outputs that grow token by token and end at stop sequences."""

from hypothesis import given
from hypothesis import strategies as st

from seqline.serving.growing_text import GrowingText, ended_at

letters = st.text("ab\n", max_size=12)
stops = st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=3).map(tuple)


@given(letters, stops, st.lists(st.integers(0, 12)))
def test_what_is_sent_is_the_output_up_to_its_stop_sequence(text: str, stop: tuple[str, ...], cuts: list[int]) -> None:
    growing, end = GrowingText(stop), ended_at(text, stop)
    whole = text if end < 0 else text[:end]
    sent = ""
    for cut in sorted(cuts):
        sent += growing.added(text[:cut])
        assert whole.startswith(sent)
    assert sent + growing.added(text, last=True) == whole
    assert growing.stopped == (end >= 0)


def test_an_incomplete_character_is_withheld_until_it_is_complete() -> None:
    growing = GrowingText()
    assert growing.added("a\ufffd") == "a"
    assert growing.added("aé") == "é"
    assert growing.added("aé\ufffd", last=True) == "\ufffd"
