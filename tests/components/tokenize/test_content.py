"""A column's bytes give the same results as a look at each text."""

import re

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.tokenize.content import CONTROL, DIGIT, LETTER, SPACE, SYMBOL, TAG, WIDE, Content
from tests.examples import examples

columns = st.lists(st.text('ab1 <&.\té漢\x00"', max_size=12), max_size=6)
KINDS = {
    CONTROL: "[\x00-\x1f\x7f]",
    SPACE: " ",
    SYMBOL: r'[<&."]',
    TAG: "[<&]",
    DIGIT: "1",
    LETTER: "[ab]",
    WIDE: "[é漢]",
}


@examples(100)
@given(columns, st.integers(0, 3), st.integers(1, 8))
def test_kinds_spaces_words_and_characters_are_those_of_each_text(texts: list[str], skipped: int, size: int) -> None:
    content = Content(pa.array(["x"] * skipped + texts, pa.string())[skipped:])
    for kind, pattern in KINDS.items():
        assert content.have(kind).tolist() == [bool(re.search(pattern, text)) for text in texts]
        if kind != WIDE:
            assert content.count(kind).tolist() == [len(re.findall(pattern, text)) for text in texts]
    assert content.badly_spaced.tolist() == [text != text.strip(" ") or "  " in text for text in texts]
    words = [max(len(word.encode()) for word in text.split(" ")) for text in texts]
    assert np.all(content.have_word_over(size) >= np.array([word > size for word in words], bool))
    assert content.characters.tolist() == [len(text) for text in texts]
    assert content.slices() == [text.encode() for text in texts]
