"""Subword regularization (Kudo 2018): every epoch segments the training pairs into other tokens."""

import logging
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from seqline.artifacts.text_tokenizer import MODEL, Prompt
from seqline.components.train.buckets import Bucket
from seqline.components.train.epochs import EpochBatches, window_order
from seqline.components.train.lengths import Lengths
from seqline.components.train.pairs import HeldWindow, Tokens, Window
from seqline.errors import UserError
from seqline.tokenizers.host import read_tokenizer
from seqline.tokenizers.sentencepiece_files import processor

log = logging.getLogger(__name__)

SAMPLED_PAIRS = 1 << 15
"""Pairs that are segmented together, at most about."""
ROWS = 1 << 12
LONGER = 0.5
"""Growth of sequences from which on a warning is logged."""


class Subwords:
    """Samples segmentations of pairs.

    The corpus holds token ids, not text; detokenizing them gives the normalized text, which is segmented again.

    Args:
        tokenizer: The SentencePiece model. Segmentations of a unigram model are sampled by their probability; of a BPE
            model, merges are dropped (Provilkov et al. 2020).
        lengths: Lengths of all training pairs: a pair whose sampled segmentation is longer than the longest side or
            pair has its best one.
        alpha: Exponent of the probabilities, or share of the merges dropped. Kudo samples among the 64 best
            segmentations, with an exponent of 0.1; among all of them, that of 0.3 has about the same effect.

    Raises:
        UserError: If the tokenizer is not one that tokenize trained.
    """

    def __init__(self, tokenizer: Path, lengths: Lengths, alpha: float) -> None:
        description = read_tokenizer(tokenizer.read_bytes(), str(tokenizer))
        if not description.own or description.prompt != Prompt():
            raise UserError(
                "subword_sampling needs a SentencePiece tokenizer that tokenize trained, without a template; set it to "
                "0 with this corpus"
            )
        self.processor, self.alpha = processor(description.file(MODEL)), alpha
        self.longest = np.array([lengths.source.max(), lengths.target.max()])
        self.longest_pair = lengths.longest_pair
        self.described = False

    def sample(self, window: Window, seed: tuple[int, ...]) -> HeldWindow:
        """Samples segmentations of a window's pairs.

        Args:
            window: The pairs in their best segmentation.
            seed: Seed of the sampling.
        """
        tokens = window.read()
        parts = [
            self._sample(tokens, np.arange(first, min(first + ROWS, len(window.lengths))), (*seed, first))
            for first in range(0, len(window.lengths), ROWS)
        ]
        ids, lengths = zip(*parts, strict=True)
        found = HeldWindow(np.concatenate(ids), np.concatenate(lengths))
        if not self.described:
            self._describe(found.lengths.sum() / max(window.lengths.sum(), 1) - 1)
        return found

    def _describe(self, longer: float) -> None:
        self.described = True
        log.info("subword_sampling %g makes sequences %.0f%% longer", self.alpha, 100 * longer)
        if longer > LONGER:
            log.warning(
                "subword_sampling %g replaces most tokens by short pieces, which inputs of the trained model seldom "
                "have: with a unigram tokenizer use 0.3 or more, with BPE 0.1 or less",
                self.alpha,
            )

    def _sample(self, tokens: Tokens, rows: np.ndarray, seed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        best = [np.split(ids, np.cumsum(sizes)[:-1]) for ids, sizes in (tokens.of(rows, side) for side in (0, 1))]
        texts = self.processor.decode([row.tolist() for side in best for row in side])
        # A thread seeds its generator when it starts: with one thread the order is fixed.
        sentencepiece.set_random_generator_seed(int(np.random.default_rng(seed).integers(2**31)))
        sampled = self.processor.encode(texts, enable_sampling=True, alpha=self.alpha, nbest_size=-1, num_threads=1)
        sides = [sampled[: len(rows)], sampled[len(rows) :]]
        sizes = np.array([[*map(len, side)] for side in sides], np.int32).T
        fits = ((sizes > 0) & (sizes <= self.longest)).all(axis=1) & (sizes.sum(axis=1) <= self.longest_pair)
        chosen = [
            [new if good else old.tolist() for new, old, good in zip(*both, fits.tolist(), strict=True)]
            for both in zip(sides, best, strict=True)
        ]
        # A text without a token keeps none: a source may be empty.
        lengths = np.where(fits[:, None], sizes, tokens.lengths[rows]).astype(np.int32)
        ids = chain.from_iterable(chain(left, right) for left, right in zip(*chosen, strict=True))
        return np.fromiter(ids, np.int32, int(lengths.sum())), lengths


class SampledBatches:
    """The batches of an epoch whose windows are segmented anew, each when it is reached.

    How many batches a window has is known from then on; until the last one is reached, the length is an estimate.

    Args:
        planned: The batches of the best segmentations, whose shapes these have.
        subwords: The sampler.
        ends: The number of batches up to the end of each window that an earlier process reached, in their order.
    """

    def __init__(self, planned: EpochBatches[Any], subwords: Subwords, ends: Sequence[int] = ()) -> None:
        self.planned, self.subwords, self.ends = planned, subwords, list(ends)
        self._filled = self._area = 0

    def __len__(self) -> int:
        """Batches in the epoch; before the last window is reached, more than have been made."""
        reached = self.ends[-1] if self.ends else 0
        return reached if len(self.ends) == self.planned.pairs.windows else max(len(self.planned), reached + 1)

    @property
    def limit(self) -> int:
        """Batches in the epoch, at most."""
        return max(len(self), len(self.planned.pairs))

    @property
    def buckets(self) -> list[Bucket]:
        """The shapes of batches."""
        return self.planned.buckets

    @property
    def problem(self) -> UserError | None:
        """Why no more batches can be read; None if they can."""
        return self.planned.problem

    @property
    def padding_share(self) -> float:
        """Share of the positions that are padding, in the windows that this process has segmented."""
        return 1 - self._filled / self._area if self._area else self.planned.padding_share

    def dataset(self, seed: int, epoch: int, skip: int = 0, first: int = 0, count: int | None = None) -> Any:
        """The batches of the epoch; see `EpochBatches.dataset`."""
        return self.planned.made_of(lambda replicas: self.parts(seed, epoch, skip, replicas), first, count)

    def parts(self, seed: int, epoch: int, skip: int, replicas: Sequence[int]) -> Iterator[Any]:
        """See `EpochBatches.parts`."""
        planned = self.planned
        for index, number in enumerate(window_order(seed, epoch, planned.pairs.windows).tolist()):
            if index < len(self.ends) and self.ends[index] <= skip:
                continue
            key = (seed, epoch, number)
            window = self.subwords.sample(planned.pairs.window(number), key)
            plans = planned.plan(window.lengths, np.random.default_rng(key))
            start = self.ends[index - 1] if index else 0
            if index == len(self.ends):
                self.ends.append(start + len(plans))
            self._filled += planned.filled(window.lengths)
            self._area += planned.area(plans)
            first = max(start, skip)
            yield from planned.of_window(window, plans[first - start :], replicas, (seed, epoch, first))
