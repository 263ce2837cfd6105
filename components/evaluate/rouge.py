"""ROUGE through rouge-score, with a tokenizer that keeps the letters of every language."""

from importlib.metadata import version

import regex  # type: ignore[import-untyped]
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer, Tokenizer

from components.evaluate.language import primary

# Scripts written without spaces between words: one token a character, with the marks that sit on it.
UNSPACED = "|".join(rf"\p{{{script}}}" for script in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"))
TOKEN = regex.compile(rf"(?:{UNSPACED})\p{{M}}*|(?:(?!{UNSPACED})[\p{{L}}\p{{M}}\p{{N}}])+")


class UnicodeTokenizer(Tokenizer):  # type: ignore[misc]
    """Lower-cased runs of letters, marks and digits of any script.

    rouge-score's own tokenizer knows a-z and 0-9 only: "Straße" becomes "stra" and "e", and a Chinese
    sentence becomes nothing.
    """

    def tokenize(self, text: str) -> list[str]:
        """Splits a text into tokens.

        Args:
            text: Any text.

        Returns:
            Its tokens, punctuation left out.
        """
        return TOKEN.findall(text.lower())


def rouge(kind: str, references: list[str], outputs: list[str], language: str) -> tuple[float, str]:
    """Mean F1 of one kind of ROUGE over the sentences.

    Args:
        kind: `rouge1`, `rouge2` or `rougeL`.
        references: The expected texts.
        outputs: The model's texts, as many.
        language: Code of the target language. English gets rouge-score's own tokenizer, without stemming.

    Returns:
        The figure from 0 to 100, and its signature.
    """
    english = primary(language) == "en"
    scorer = RougeScorer([kind], tokenizer=DefaultTokenizer() if english else UnicodeTokenizer())
    total = sum(
        scorer.score(reference, output)[kind].fmeasure for reference, output in zip(references, outputs, strict=True)
    )
    tokenizer = "rouge-score" if english else "unicode"
    signature = f"f1|mean|tok:{tokenizer}|stem:no|version:{version('rouge-score')}"
    return 100 * total / len(references), signature
