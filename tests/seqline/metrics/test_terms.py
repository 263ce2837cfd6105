"""Terms are found as whole words, and in scripts without spaces wherever they are."""

import unicodedata

import pytest

from seqline.metrics.slices import find_slices
from seqline.metrics.terms import terms_pattern
from seqline.metrics.test_set import Row


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("he", "He sings", True), ("he", "the theme", False), ("he", "he's", True),
        ("他", "他在花园里", True), ("她", "他在花园里", False), ("年", "2024年", True), ("AI", "使用AI技术", True),
        ("AI", "使用MAIL", False), ("彼女", "スーパー彼女は", True), ("เขา", "วันนี้เขาไป", True), ("ກິນ",
        "ຂ້ອຍກິນເຂົ້າ", True),
        ("នាង", "ថ្ងៃនេះនាងទៅ", True), ("သူ", "ယနေ့သူသွား", True), ("กา", "ก่าน", False), ("กี", "กี่", False),
        ("क", "कि", False), ("वह", "वह आया", True), ("그", "그는", False), ("그는", "오늘 그는 왔다", True),
        ("هو", "قال هو", True), ("Zoë", "Zoe\u0308 singt", True), ("C++", "in C++ geschrieben", True),
        ("ＡＩ", "使用ＡＩ技术", True),
    ],
)  # fmt: skip
def test_a_term_is_found_as_a_word_of_its_script(term: str, text: str, found: bool) -> None:
    for spelling in (term, unicodedata.normalize("NFD", term)):
        assert bool(terms_pattern([spelling]).search(unicodedata.normalize("NFC", text))) is found


def test_the_longest_term_wins() -> None:
    assert terms_pattern(["他", "他们"]).findall("他们和他") == ["他们", "他"]


def test_lists_of_terms_are_slices_in_any_script() -> None:
    rows = [Row("He reads.", "他看书。"), Row("She reads.", "她看书。")]
    slices = find_slices(rows, {"feminine": ["她"], "masculine": ["他"]})
    members = {one.name: [one.has(row) for row in rows] for one in slices if one.slicing == "terms"}
    assert members == {"feminine": [False, True], "masculine": [True, False]}
