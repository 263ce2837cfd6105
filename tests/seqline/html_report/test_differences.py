from hypothesis import given
from hypothesis import strategies as st

from seqline.html_report.differences import Segment, differences


def test_words_that_differ_are_segments() -> None:
    ours, theirs = differences("Ein Hund läuft.", "Ein Kind läuft.")
    assert ours == [Segment("Ein ", False), Segment("Hund", True), Segment(" läuft.", False)]
    assert theirs == [Segment("Ein ", False), Segment("Kind", True), Segment(" läuft.", False)]


def test_chinese_is_compared_by_character() -> None:
    assert differences("红苹果", "青苹果")[1] == [Segment("青", True), Segment("苹果", False)]


@given(st.text(max_size=40), st.text(max_size=40))
def test_segments_join_to_the_texts(first: str, second: str) -> None:
    ours, theirs = differences(first, second)
    assert ("".join(segment.text for segment in ours), "".join(segment.text for segment in theirs)) == (first, second)
    assert any(segment.differs for segment in (*ours, *theirs)) == (first != second)
