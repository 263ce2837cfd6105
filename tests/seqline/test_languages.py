"""Every spelling of a language's code means that language; a code of none is refused with advice."""

import re

import pytest

from seqline.errors import UserError
from seqline.languages import UNDETERMINED, find_language, language_of
from seqline.schema.run import RunParameters


@pytest.mark.parametrize(
    ("code", "language", "script"),
    [
        ("zh", "zh", "Hans"), ("zho_Hans", "zh", "Hans"), ("zh-Hant-TW", "zh", "Hant"), ("ZH_tw", "zh", "Hant"),
        ("cmn", "zh", "Hans"), ("chi", "zh", "Hans"), ("yue_Hant", "yue", "Hant"), ("zh-yue", "yue", "Hant"),
        ("jpn_Jpan", "ja", "Jpan"), ("kor_Hang", "ko", "Hang"), ("deu", "de", "Latn"), ("ger", "de", "Latn"),
        ("eng_Latn", "en", "Latn"), ("EN-us", "en", "Latn"), ("en_XX", "en", "Latn"), ("nob_Latn", "nb", "Latn"),
        ("no", "no", "Latn"), ("nno", "nn", "Latn"), ("arb_Arab", "ar", "Arab"), ("pes_Arab", "fa", "Arab"),
        ("zsm_Latn", "ms", "Latn"), ("npi_Deva", "ne", "Deva"), ("tgl", "fil", "Latn"), ("iw", "he", "Hebr"),
        ("srp_Cyrl", "sr", "Cyrl"), ("sr-Latn", "sr", "Latn"), (" de ", "de", "Latn"),
    ],
)  # fmt: skip
def test_a_code_of_any_standard_means_its_language(code: str, language: str, script: str) -> None:
    found = find_language(code)
    assert (found.code, found.script) == (language, script)


@pytest.mark.parametrize(
    ("code", "unspaced"),
    [
        ("zho_Hans", True), ("jpn", True), ("tha_Thai", True), ("khm", True), ("lao_Laoo", True), ("mya", True),
        ("shn", True), ("bo", True), ("wuu", True), ("kor", False), ("vi", False), ("zh-Latn", False), ("ja-Latn",
        False),
        ("und", False),
    ],
)  # fmt: skip
def test_the_script_decides_whether_words_have_spaces(code: str, unspaced: bool) -> None:
    assert find_language(code).unspaced is unspaced


def test_a_language_of_several_scripts_has_letters_only_with_the_script() -> None:
    assert find_language("sr").letters == ""
    assert find_language("sr-Latn").letters == r"\p{Latin}"
    assert find_language("uzn_Cyrl").letters == r"\p{Cyrillic}"


@pytest.mark.parametrize("code", ["und", "mul", "zxx", "x-code", "qaa"])
def test_text_in_no_language_has_codes(code: str) -> None:
    assert find_language(code) == UNDETERMINED


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("jp", "did you mean 'ja', the language of the territory JP?"),
        ("cn_CN", "did you mean 'zh', the language of the territory CN?"),
        ("xx", "such as de, deu_Latn or zh-Hant, or und for text in no language"),
        ("german", "such as de, deu_Latn or zh-Hant"),
        ("zh Hans", "such as de"),
    ],
)
def test_another_code_is_refused_with_advice(code: str, advice: str) -> None:
    with pytest.raises(
        UserError, match=re.escape(f"target_language: {code!r} is not a language code; ") + ".*" + advice
    ):
        RunParameters(target_language=code)


def test_an_unknown_code_of_an_old_artifact_is_undetermined_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert language_of("jp") == UNDETERMINED
    assert "'jp' is not a language code" in caplog.text
    caplog.clear()
    assert language_of("") == UNDETERMINED
    assert not caplog.text
