from hypothesis import given
from hypothesis import strategies as st

from seqline.html_report.differences import Piece, differences


def test_words_that_differ_are_cut_out() -> None:
    ours, theirs = differences("Ein Hund läuft.", "Ein Kind läuft.")
    assert ours == [Piece("Ein ", False), Piece("Hund", True), Piece(" läuft.", False)]
    assert theirs == [Piece("Ein ", False), Piece("Kind", True), Piece(" läuft.", False)]


def test_chinese_is_compared_by_character() -> None:
    assert differences("红苹果", "青苹果")[1] == [Piece("青", True), Piece("苹果", False)]


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_is_lost(first: str, second: str) -> None:
    ours, theirs = differences(first, second)
    assert ("".join(piece.text for piece in ours), "".join(piece.text for piece in theirs)) == (first, second)
    assert any(piece.differs for piece in (*ours, *theirs)) == (first != second)
