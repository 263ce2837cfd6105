"""Subword regularization (Kudo 2018): every epoch segments the training pairs into other tokens."""

from pathlib import Path

import numpy as np
import sentencepiece

from seqline.artifacts.text_tokenizer import MODEL, Prompt
from seqline.components.train.detokenizer import Detokenizer
from seqline.components.train.records import Pair
from seqline.errors import UserError
from seqline.tokenizers.host import read_tokenizer
from seqline.tokenizers.sentencepiece_files import processor


class Subwords:
    """Samples segmentations of the training pairs.

    The corpus holds token ids, not text; detokenizing them gives the normalized text, which is segmented again.

    Args:
        pairs: The training pairs in their best segmentation.
        tokenizer: The SentencePiece model. Segmentations of a unigram model are sampled by their probability; of a BPE
            model, merges are dropped (Provilkov et al. 2020).
        alpha: Smoothing of the probabilities, or share of the merges dropped.
        seed: Seed of the sampling, together with the epoch.
    """

    def __init__(self, pairs: list[Pair], tokenizer: Path, alpha: float, seed: int) -> None:
        self.pairs, self.alpha, self.seed = pairs, alpha, seed
        description = read_tokenizer(tokenizer.read_bytes(), str(tokenizer))
        if not description.own or description.prompt != Prompt():
            raise UserError(
                "subword_sampling needs a SentencePiece tokenizer that tokenize trained, without a template; set it to "
                "0 with this corpus"
            )
        self.processor = processor(description.file(MODEL))
        detokenizer = Detokenizer(tokenizer)
        self.texts = [detokenizer.texts([pair[side].tolist() for pair in pairs]) for side in range(2)]
        self.longest = [max(len(pair[side]) for pair in pairs) for side in range(2)]
        self.longest_pair = max(len(left) + len(right) for left, right in pairs)

    def sample(self, epoch: int) -> list[Pair]:
        """Samples the pairs of an epoch; a pair longer than the corpus's longest keeps its best segmentation.

        Args:
            epoch: Number of the epoch.
        """
        # A thread seeds its generator when it starts: with one thread the order is fixed.
        sentencepiece.set_random_generator_seed(int(np.random.default_rng((self.seed, epoch)).integers(2**31)))
        sampled = [
            self.processor.encode(texts, enable_sampling=True, alpha=self.alpha, nbest_size=-1, num_threads=1)
            for texts in self.texts
        ]
        return [
            (np.array(left, np.int32), np.array(right, np.int32)) if self._fits(left, right) else pair
            for pair, left, right in zip(self.pairs, *sampled, strict=True)
        ]

    def _fits(self, left: list[int], right: list[int]) -> bool:
        max_left, max_right = self.longest
        return 0 < len(left) <= max_left and 0 < len(right) <= max_right and len(left) + len(right) <= self.longest_pair
