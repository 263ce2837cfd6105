"""ROUGE as in rouge-score, with a tokenizer for every script."""

from importlib.metadata import version

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer, Tokenizer

from seqline.languages import language_of
from seqline.metrics.batch import Batch
from seqline.metrics.ngrams import common_length, overlaps
from seqline.metrics.segments import TOKEN
from seqline.metrics.words import WordByWord


class UnicodeTokenizer(Tokenizer):  # type: ignore[misc]
    """Lower-cased runs of letters, marks and digits of any script.

    rouge-score's own tokenizer drops everything but a-z and 0-9: "Straße" becomes "stra" and "e", a Chinese sentence
    has no tokens.
    """

    def tokenize(self, text: str) -> list[str]:
        """Splits a text into tokens.

        Args:
            text: Any text.

        Returns:
            Its tokens without punctuation.
        """
        return TOKEN.findall(text.lower())


class Rouge:
    """Mean F1 of one kind of ROUGE (Lin 2004) over the sentences, from 0 to 100."""

    columns = 2

    def __init__(self, kind: str, language: str) -> None:
        """Chooses the tokenizer.

        Args:
            kind: `rouge1`, `rouge2`, `rougeL` or `rougeLsum`; the last treats each line as a sentence.
            language: Code of the target language. English uses rouge-score's own tokenizer, without stemming.
        """
        english = language_of(language).code == "en"
        self.kind = kind
        # Shared by all kinds: a batch splits its texts once per tokenizer.
        self._tokenizer: Tokenizer = ENGLISH if english else UNICODE
        self._split = ENGLISH_WORDS if english else UNICODE_WORDS
        self.signature = "|".join(
            [
                "f1",
                "mean",
                f"tok:{'rouge-score' if english else 'unicode'}",
                "stem:no",
                f"version:{version('rouge-score')}",
            ]
        )

    def count(self, batch: Batch) -> np.ndarray:
        """Returns F1, and 1, for each sentence."""
        outputs, references = batch.tokens(self._split)
        if self.kind in {"rouge1", "rouge2"}:
            order = int(self.kind[-1])
            theirs, ours, both = overlaps(outputs, references, longest=order)[:, order - 1].T
        else:
            theirs, ours = (np.array([len(tokens) for tokens in side]) for side in (outputs, references))
            both = np.array([common_length(*pair) for pair in zip(references, outputs, strict=True)])
        scores = _f1(both, theirs, ours)
        if self.kind == "rougeLsum":
            scorer = RougeScorer([self.kind], tokenizer=self._tokenizer)
            for index, (reference, output) in enumerate(zip(batch.references, batch.outputs, strict=True)):
                if "\n" in reference or "\n" in output:  # otherwise it equals ROUGE-L
                    scores[index] = scorer.score(reference, output)[self.kind].fmeasure
        return np.column_stack([scores, np.ones(len(batch))])

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Returns the mean F1."""
        return 100 * sums[:, 0] / np.maximum(sums[:, 1], 1)


ENGLISH, UNICODE = DefaultTokenizer(), UnicodeTokenizer()
ENGLISH_WORDS, UNICODE_WORDS = WordByWord(ENGLISH.tokenize), WordByWord(UNICODE.tokenize)


def _f1(both: np.ndarray, theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    # The order of operations of rouge-score, for equal results to the last digit.
    precision, recall = both / np.maximum(theirs, 1), both / np.maximum(ours, 1)
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros(len(total)), where=total > 0)
