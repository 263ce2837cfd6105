"""Subword regularization (Kudo 2018): the training pairs are cut into other pieces in every epoch."""

from pathlib import Path

import numpy as np
import sentencepiece

from seqline.components.train.batches import Pair
from seqline.components.train.pieces import Pieces


class Subwords:
    """Draws segmentations of the training pairs.

    The corpus holds pieces, not text; but a tokenizer's pieces make its normalized text again, so that is what is cut.

    Args:
        pairs: The training pairs in their best segmentation.
        tokenizer: The SentencePiece model; segmentations of a unigram model are drawn by their probability, merges of a
            BPE model are dropped (Provilkov et al. 2020).
        alpha: Smoothing of the probabilities, or share of the merges dropped.
        seed: With the epoch, decides what is drawn.
    """

    def __init__(self, pairs: list[Pair], tokenizer: Path, alpha: float, seed: int) -> None:
        self.pairs, self.alpha, self.seed = pairs, alpha, seed
        self.processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
        pieces = Pieces(tokenizer)
        self.texts = [pieces.texts([pair[side].tolist() for pair in pairs]) for side in range(2)]
        self.longest = [max(len(pair[side]) for pair in pairs) for side in range(2)]
        self.longest_pair = max(len(left) + len(right) for left, right in pairs)

    def draw(self, epoch: int) -> list[Pair]:
        """The pairs of an epoch; those longer than the longest of the corpus keep their best segmentation.

        Args:
            epoch: Its number.
        """
        # The generator belongs to a thread and takes its seed when the thread begins: one thread, one order.
        sentencepiece.set_random_generator_seed(int(np.random.default_rng((self.seed, epoch)).integers(2**31)))
        drawn = [
            self.processor.encode(texts, enable_sampling=True, alpha=self.alpha, nbest_size=-1, num_threads=1)
            for texts in self.texts
        ]
        return [
            (np.array(left, np.int32), np.array(right, np.int32)) if self._fits(left, right) else pair
            for pair, left, right in zip(self.pairs, *drawn, strict=True)
        ]

    def _fits(self, left: list[int], right: list[int]) -> bool:
        most_left, most_right = self.longest
        return (
            0 < len(left) <= most_left and 0 < len(right) <= most_right and len(left) + len(right) <= self.longest_pair
        )
