r"""Languages and their scripts: the one place that decides what a language code means.

Codes are those of BCP 47 (`zh-Hant-TW`), FLORES and NLLB (`zho_Hans`) and ISO 639-1 to 639-3 (`de`, `deu`, `ger`), in
any case. Character classes have the syntax that the modules of Arrow (RE2) and `regex` share, such as `\p{Han}`.
"""

import logging
from dataclasses import dataclass
from functools import lru_cache

from seqline.errors import UserError

log = logging.getLogger(__name__)

UNSPACED = "".join(
    rf"\p{{{script}}}"
    for script in (
        "Han", "Hiragana", "Katakana", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Tai_Le",
        "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Balinese", "Javanese",
    )
) + "\u30fc\uff70"  # fmt: skip
"""Inside of a character class: the scripts that are written without spaces between words. The last two are the
prolonged sound marks, which Hiragana and Katakana share."""

_CHINESE = {"Hans", "Hant", "Hani", "Hanb", "Bopo"}
_JAPANESE = {"Jpan", "Hira", "Kana", "Hrkt"}
_KOREAN = {"Kore", "Hang"}
_OTHER_UNSPACED = {"Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Tale", "Talu", "Lana", "Tavt", "Bali", "Java"}

# Scripts of ISO 15924 by the name of their Unicode property.
_PROPERTIES = {
    "Arab": "Arabic", "Armn": "Armenian", "Bali": "Balinese", "Beng": "Bengali", "Bopo": "Bopomofo", "Cher": "Cherokee",
    "Copt": "Coptic", "Cyrl": "Cyrillic", "Deva": "Devanagari", "Ethi": "Ethiopic", "Geor": "Georgian", "Grek": "Greek",
    "Gujr": "Gujarati", "Guru": "Gurmukhi", "Hang": "Hangul", "Hani": "Han", "Hans": "Han", "Hant": "Han",
    "Hebr": "Hebrew", "Hira": "Hiragana", "Java": "Javanese", "Kana": "Katakana", "Khmr": "Khmer", "Knda": "Kannada",
    "Lana": "Tai_Tham", "Laoo": "Lao", "Latn": "Latin", "Mlym": "Malayalam", "Mong": "Mongolian",
    "Mtei": "Meetei_Mayek",
    "Mymr": "Myanmar", "Nkoo": "Nko", "Olck": "Ol_Chiki", "Orya": "Oriya", "Sinh": "Sinhala", "Sund": "Sundanese",
    "Syrc": "Syriac", "Tale": "Tai_Le", "Talu": "New_Tai_Lue", "Taml": "Tamil", "Tavt": "Tai_Viet", "Telu": "Telugu",
    "Tfng": "Tifinagh", "Thaa": "Thaana", "Thai": "Thai", "Tibt": "Tibetan", "Vaii": "Vai", "Yiii": "Yi",
}  # fmt: skip
SCRIPTS = tuple(sorted(set(_PROPERTIES.values())))
"""The scripts that are known, by the name of their Unicode property."""
_CLASSES = {
    **{code: rf"\p{{{name}}}" for code, name in _PROPERTIES.items()},
    "Hanb": r"\p{Han}\p{Bopomofo}",
    "Hrkt": r"\p{Hiragana}\p{Katakana}",
    "Jpan": r"\p{Han}\p{Hiragana}\p{Katakana}",
    "Kore": r"\p{Hangul}\p{Han}",
}

# Languages by their only script, from Unicode's CLDR; without languages that are written in several scripts.
_LANGUAGES = {
    "Arab": "ar fa ur ps sd ug ckb", "Armn": "hy", "Beng": "bn as", "Cyrl": "ru uk be bg mk kk ky mn tt",
    "Deva": "hi mr ne sa", "Ethi": "am ti", "Geor": "ka", "Grek": "el", "Gujr": "gu", "Guru": "pa", "Hani": "zh yue",
    "Hebr": "he yi", "Jpan": "ja", "Khmr": "km", "Knda": "kn", "Kore": "ko", "Laoo": "lo",
    "Latn": "af ast br ca cs cy da de en eo es et eu fi fil fo fr fy ga gd gl ha hr ht hu id ig is it jv la lb lt lv "
    "mg ms mt nb nl nn no oc pl pt ro sk sl so sq st su sv sw tl tn tr vi wo xh yo zu",
    "Mlym": "ml", "Mymr": "my", "Orya": "or", "Sinh": "si", "Taml": "ta", "Telu": "te", "Thai": "th", "Tibt": "bo dz",
}  # fmt: skip
_ONLY_SCRIPT = {language: script for script, languages in _LANGUAGES.items() for language in languages.split()}


@dataclass(frozen=True)
class Language:
    """A language as it is written.

    Attributes:
        code: ISO 639-1 where there is one, and of the macro-language: `zh` for `cmn_Hans`, `yue` for `zh-yue`.
        script: ISO 15924: the code's own script, otherwise the usual one of the language.
        letters: Inside of a character class: its letters. Empty for a language that is written in several scripts,
            unless the code names one.
    """

    code: str
    script: str
    letters: str = ""

    @property
    def chinese(self) -> bool:
        """Whether it is written in Chinese characters alone."""
        return self.script in _CHINESE

    @property
    def japanese(self) -> bool:
        """Whether it is written in the Japanese scripts."""
        return self.script in _JAPANESE

    @property
    def korean(self) -> bool:
        """Whether it is written in Hangul."""
        return self.script in _KOREAN

    @property
    def unspaced(self) -> bool:
        """Whether it is written without spaces between words."""
        return self.chinese or self.japanese or self.script in _OTHER_UNSPACED


UNDETERMINED = Language("und", "Zyyy")
"""Text in no language, or in one that no code names: `und`, `mul`, `zxx` and private codes such as `x-code`."""


@lru_cache(maxsize=256)
def find_language(code: str) -> Language:
    """Returns the language of a code.

    Args:
        code: Such as `de`, `zh-Hant-TW`, `zho_Hans`, `ger` or `pt_BR`.

    Raises:
        UserError: If no language has the code.
    """
    from langcodes import Language as Tag
    from langcodes.tag_parser import LanguageTagError

    text = code.strip()
    try:
        tag = Tag.get(text)
        valid = bool(text) and tag.is_valid()
    except LanguageTagError:
        valid = False
    if not valid:
        raise UserError(f"{code!r} is not a language code; {_suggestion(text)}")
    named = tag.language or "und"
    if named in {"und", "mul", "mis", "zxx"} or named.startswith("x-") or "qaa" <= named <= "qtz":
        return Language("und", tag.script, _CLASSES.get(tag.script, "")) if tag.script else UNDETERMINED
    full = tag.prefer_macrolanguage().maximize()
    language = full.language or named
    only = tag.script or _ONLY_SCRIPT.get(language, "")
    return Language(language, full.script or "", _CLASSES.get(only, ""))


def language_of(code: str) -> Language:
    """Returns the language of a code in an artifact, which may be older than the check of codes.

    Args:
        code: The code; an unknown one is undetermined, with a warning.
    """
    try:
        return find_language(code)
    except UserError as error:
        if code:
            log.warning("%s; metrics take the text for one in no language, with words between spaces", error)
        return UNDETERMINED


def _suggestion(text: str) -> str:
    """What to write instead: the language of a territory (jp: ja), or examples."""
    from langcodes import Language as Tag
    from langcodes.tag_parser import LanguageTagError

    territory = text.replace("_", "-").partition("-")[0].upper()
    # ZZ and those with X are no territories of a language.
    if len(territory) == 2 and territory.isalpha() and territory != "ZZ" and territory[0] != "X":
        try:
            found = Tag.get(f"und-{territory}")
            if found.is_valid():
                return f"did you mean {found.maximize().language!r}, the language of the territory {territory}?"
        except LanguageTagError:
            pass
    return "write one of ISO 639 or BCP 47, such as de, deu_Latn or zh-Hant, or und for text in no language"
