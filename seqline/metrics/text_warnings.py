"""Warns of a test set that metrics measure wrongly: tokenized, escaped, or in another script than its language's."""

import re
from collections.abc import Iterable, Iterator

import regex  # type: ignore[import-untyped]
from rouge_score.tokenizers import DefaultTokenizer

from seqline.artifacts.evaluation import Slice
from seqline.languages import UNSPACED, Language, language_of
from seqline.metrics.test_set import Row

TOKENIZED = re.compile(r"\s[.\u3002\uff0e]\s*$")
ESCAPED = re.compile(r"&(?:apos|quot|amp|lt|gt|#91|#93|#124);|@-@")
LETTERS = regex.compile(r"\p{L}")
UNSPACED_LETTERS = regex.compile(rf"[{UNSPACED}]")
ENOUGH = 100  # tokenized references, as in sacreBLEU; in a small test set, half of them
FEW = 10


def text_warnings(rows: Iterable[Row], code: str) -> list[str]:
    """Returns what is suspicious about a test set.

    Args:
        rows: The test set; it is read once.
        code: Code of the target language.
    """
    language = language_of(code)
    own_letters = regex.compile(rf"[{language.letters}]") if language.letters else None
    english = DefaultTokenizer() if language.code == "en" else None
    total = tokenized = escaped = mute = letters = own = unspaced = 0
    for row in rows:
        text = row.reference
        found = len(LETTERS.findall(text))
        total += 1
        letters += found
        tokenized += bool(TOKENIZED.search(text))
        escaped += bool(ESCAPED.search(text) or ESCAPED.search(row.source))
        unspaced += len(UNSPACED_LETTERS.findall(text))
        own += len(own_letters.findall(text)) if own_letters else found
        mute += bool(english and found and not english.tokenize(text))
    suspicious = [*_tokenization(total, tokenized, escaped), *_script(language, code, letters, own, unspaced)]
    if mute:
        suspicious.append(
            f"{mute} of {total} references have no word for ROUGE, which knows only a-z and 0-9 for English, "
            "and score 0; if they are in another language, set target_language"
        )
    return suspicious


def term_warnings(slices: Iterable[Slice]) -> list[str]:
    """Returns a warning for each list of terms that no sentence contains.

    Args:
        slices: The slices of an evaluation.
    """
    return [
        f"terms: no test sentence contains a term of the list {one.name!r}; terms are whole words, so list every form"
        for one in slices
        if one.slicing == "terms" and not one.sentences
    ]


def _tokenization(total: int, tokenized: int, escaped: int) -> Iterator[str]:
    if tokenized >= ENOUGH or (tokenized >= FEW and 2 * tokenized > total):
        yield (
            f"{tokenized} of {total} references end in a tokenized period (' .'): the test data look tokenized, which "
            "changes the scores; detokenize all data and train again"
        )
    if escaped:
        yield (
            f"{escaped} of {total} test pairs have escapes of the Moses tokenizer, such as &apos; or @-@; detokenize "
            "all data and train again: the rule `markup` removes pairs with escapes from the training data"
        )


def _script(language: Language, code: str, letters: int, own: int, unspaced: int) -> Iterator[str]:
    if letters and 2 * own < letters:
        yield (
            f"only {own / letters:.0%} of the letters of the references are in the script of target_language={code}, "
            "which decides how metrics split text into words; set target_language to the language of the references, "
            "with its script if it has several, such as sr-Latn"
        )
    elif 2 * unspaced > letters and not language.unspaced:
        yield (
            "the references are in a script without spaces between words, but BLEU and TER for "
            f"target_language={code} split text at spaces; set target_language to the language of the references"
        )
