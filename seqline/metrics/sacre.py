"""BLEU, chrF++ and TER with the tokenizers, formulas and signatures of sacreBLEU.

Its loops over n-grams and edits would be the slowest part of an evaluation; `seqline.metrics.ngrams` and
`seqline.metrics.ter` compute the same counts.
"""

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric

from seqline.languages import language_of
from seqline.metrics.batch import Batch
from seqline.metrics.language import bleu_tokenizer
from seqline.metrics.ngrams import overlaps
from seqline.metrics.ter import edits
from seqline.metrics.words import WordByWord


class _Sacre:
    """A metric of sacreBLEU."""

    def __init__(self, metric: Metric, columns: int) -> None:
        self.metric, self.columns = metric, columns
        metric.num_refs = 1  # corpus_score would set it; the signature includes it
        self.signature = str(metric.get_signature())

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Returns sacreBLEU's score for each row."""
        return np.array([self.metric._compute_score_from_stats(row.tolist()).score for row in sums])


class Bleu(_Sacre):
    """BLEU (Papineni et al. 2002), from 0 to 100; the tokenizer depends on the target language."""

    def __init__(self, language: str) -> None:
        tokenizer = bleu_tokenizer(language)
        super().__init__(BLEU(tokenize=tokenizer), columns=10)
        self._words = WordByWord(self._whole) if tokenizer == "13a" else self._whole

    def _whole(self, text: str) -> list[str]:
        return self.metric._preprocess_segment(text).split()

    def _split(self, text: str) -> list[str]:
        # 13a joins words only where a line ends in a hyphen.
        return self._whole(text) if "\n" in text else self._words(text)

    def count(self, batch: Batch) -> np.ndarray:
        """Returns lengths of output and reference, matches of orders 1 to 4, n-grams of orders 1 to 4."""
        found = overlaps(*batch.tokens(self._split), longest=4)
        return np.concatenate([found[:, 0, :2], found[:, :, 2], found[:, :, 0]], axis=1)


class Chrf(_Sacre):
    """chrF++ (Popović 2017), from 0 to 100: character n-grams up to 6, word n-grams up to 2, recall counts double."""

    def __init__(self, language: str) -> None:
        super().__init__(CHRF(word_order=2), columns=24)

    def _words(self, text: str) -> list[str]:
        return self.metric._remove_punctuation(text)

    def count(self, batch: Batch) -> np.ndarray:
        """Returns n-grams of the output, of the reference, and matches, for each order."""
        outputs, references = (["".join(text.split()) for text in texts] for texts in (batch.outputs, batch.references))
        characters = overlaps(outputs, references, longest=6)
        words = overlaps(*batch.tokens(self._words), longest=2)
        found = np.concatenate([characters, words], axis=1)
        found[:, :, 0] *= found[:, :, 1] > 0  # sacreBLEU: no precision where the reference has no such n-gram
        return found.reshape(len(batch), -1)


class Ter(_Sacre):
    """TER (Snover et al. 2006): edits and shifts of words per word of the reference, in percent."""

    def __init__(self, language: str) -> None:
        # Without spaces a sentence would be one word. sacreBLEU separates Chinese and Japanese characters only.
        found = language_of(language)
        asian = found.chinese or found.japanese
        super().__init__(TER(normalized=asian, asian_support=asian), columns=2)
        self._by_character = found.unspaced and not asian
        if self._by_character:
            self.signature += "|words:char"
        self._words = self._whole if asian else WordByWord(self._whole)

    def _whole(self, text: str) -> list[str]:
        words = self.metric._preprocess_segment(text).split()
        return [character for word in words for character in word] if self._by_character else words

    def count(self, batch: Batch) -> np.ndarray:
        """Returns edits, and words of the reference."""
        pairs = zip(*batch.tokens(self._words), strict=True)
        return np.array([(edits(output, reference), len(reference)) for output, reference in pairs], np.int32)
