"""The graph normalizes a text as cleaning does before training, in every spelling."""

import random
import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.export.normalization import normalized
from seqline.normalization import UNICODE_END, clean
from tests.examples import examples

CODES = [code for code in range(UNICODE_END) if not 0xD800 <= code < 0xE000]
MARKS = [chr(code) for code in CODES if unicodedata.combining(chr(code))]
graph = tf.function(normalized, input_signature=[tf.TensorSpec([None], tf.string)])


def served(texts: list[str]) -> list[str]:
    return [text.decode() for text in graph(tf.constant(texts)).numpy()]


def shuffled(text: str, chooser: random.Random) -> str:
    """The text in NFD with the marks of each letter in any order that is canonically equivalent."""
    found: list[str] = []
    marks: list[str] = []
    for char in [*unicodedata.normalize("NFD", text), "\n"]:
        if unicodedata.combining(char):
            marks.append(char)
            continue
        classes = chooser.sample(
            sorted({unicodedata.combining(mark) for mark in marks}), k=len({*map(unicodedata.combining, marks)})
        )
        found += [mark for kind in classes for mark in marks if unicodedata.combining(mark) == kind] + [char]
        marks = []
    return "".join(found[:-1])


def test_every_character_and_its_decomposition_with_marks_in_either_order() -> None:
    composed = [chr(code) for code in CODES if unicodedata.normalize("NFD", chr(code)) != chr(code)]
    chooser = random.Random(5)
    texts = [f"a{chr(code)}b" for code in CODES]
    for char in composed:
        decomposed = unicodedata.normalize("NFD", char)
        texts += [decomposed, decomposed[0] + decomposed[:0:-1], char + chooser.choice(MARKS)]
    assert served(texts) == list(map(clean, texts))


words = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from([*MARKS, *"aeious", "\u0627", "\u05e9", "\u0915", "\u200b", "\0", "\u3000", "\uff21"]),
    ),
    max_size=12,
)


@examples(150)
@given(st.lists(words, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_equivalent_spellings_are_served_as_the_same_text(texts: list[str], chooser: random.Random) -> None:
    expected = list(map(clean, texts))
    assert served(texts) == expected
    assert served([shuffled(text, chooser) for text in texts]) == expected


@pytest.mark.parametrize("typed", ["Vi\u00ea\u0323t", "Vie\u0302\u0323t", "Vie\u0323\u0302t", "Vi\u1eb9\u0302t"])
def test_vietnamese_as_keyboards_type_it_is_composed(typed: str) -> None:
    assert served([typed]) == ["Vi\u1ec7t"]
