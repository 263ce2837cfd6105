"""Exercises in copying, which replace pairs at the start of training.

The attention that copies forms late and suddenly, the later the longer the sources are; until then a model learns the
most frequent outputs. What it attends to is the bottleneck (Gopalani and Hu 2025, arXiv 2506.13688), and seeing the
same kind of step often makes it form sooner (Zucchet et al. 2025, arXiv 2505.17863).
"""

from dataclasses import dataclass

import numpy as np

from seqline.modeling.config import TransformerConfig

SHARE = 0.5
"""Share of the pairs that are replaced."""
LONGEST = 8
"""Tokens of a span, at most."""
STREAM = 0xC0B1
"""Keeps the draws apart from those of the order of the batches, which have the same seed."""

Arrays = tuple[tuple[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class CopyExercises:
    """Replaces half of the pairs of the first batches by exercises.

    An exercise has the pair's source with a short random span between two `bos`, which no other source has, so they say
    what is asked. The first two tokens of the source are left out for them. The target is the span. Shapes do not
    change, and the exercises depend on the seed and on the number of the batch only.

    Attributes:
        config: The model's configuration.
        batches: Batches that have exercises, from the first of the training.
    """

    config: TransformerConfig
    batches: int

    def put(self, arrays: Arrays, seed: int, batch: int, replica: int, replicas: int) -> Arrays:
        """Replaces pairs of a batch's part.

        Args:
            arrays: Source, entered and expected target, as `Batches.fill` makes them; changed in place.
            seed: Seed of the training.
            batch: Number of the batch, from the start of the training.
            replica: Number of the replica whose part it is.
            replicas: Number of replicas.
        """
        if batch >= self.batches:
            return arrays
        config = self.config
        (source, entered), expected = arrays
        rows = len(source)
        # Drawn for the whole batch: any number of replicas has the same exercises.
        drawn = np.random.default_rng((STREAM, seed, batch)).random((rows * replicas, 3))
        lengths = (source != config.padding).sum(axis=1) - 1
        longest = np.minimum(np.minimum(LONGEST, expected.shape[1] - 1), lengths - 2)
        part = drawn[replica * rows : (replica + 1) * rows]
        for row in np.flatnonzero((part[:, 0] < SHARE) & (longest > 0)):
            length = 1 + int(part[row, 1] * longest[row])
            start = 2 + int(part[row, 2] * (lengths[row] - 1 - length))
            span = source[row, start : start + length].copy()
            source[row, : start - 2] = source[row, 2:start].copy()
            source[row, start - 2 : start + length] = [config.start, *span, config.start]
            entered[row], expected[row] = config.padding, config.padding
            entered[row, : length + 1] = [config.start, *span]
            expected[row, : length + 1] = [*span, config.eos_id]
        return arrays
