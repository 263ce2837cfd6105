"""How much there is to learn from, and how often a training sees it."""

from dataclasses import dataclass

from seqline.artifacts.corpus import Manifest
from seqline.components.train.flops import training_flops
from seqline.modeling.config import TransformerConfig

COPYING = ("summarization", "question_answering")
"""Tasks whose outputs repeat parts of the input."""
SIDES = ("source", "target")
PASSES, COPYING_PASSES = 10, 20
"""Passes over the data that a model needs, and that it needs where outputs copy from the input."""
SUSTAINED = 0.35
"""Share of the measured peak that the trainer is expected to sustain."""


@dataclass(frozen=True)
class Scale:
    """The size of the training data; tokens include the ends of sentences.

    Attributes:
        task: What the model is for.
        pairs: Training pairs.
        source_tokens: Tokens of their sources.
        target_tokens: Tokens of their targets.
        vocabulary_size: Tokens in the vocabulary.
    """

    task: str
    pairs: int
    source_tokens: int
    target_tokens: int
    vocabulary_size: int

    @classmethod
    def of(cls, manifest: Manifest) -> "Scale":
        """Reads it from a corpus's manifest.

        Args:
            manifest: The manifest.
        """
        train = [shard for shard in manifest.shards if shard.file.startswith("train-")]
        pairs = sum(shard.records for shard in train)
        # The manifest does not count the ends of sentences.
        source, target = (pairs + sum(getattr(shard, f"{side}_tokens") for shard in train) for side in SIDES)
        return cls(str(manifest.options["task"]), pairs, source, target, manifest.vocabulary_size)

    @property
    def copying(self) -> bool:
        """Whether outputs repeat parts of the input."""
        return self.task in COPYING

    @property
    def needed_passes(self) -> int:
        """Passes over the data that a model needs."""
        return COPYING_PASSES if self.copying else PASSES

    def passes(self, config: TransformerConfig, minutes: float, peak_flops: float) -> float:
        """Estimates the passes over the data that a time limit allows, from the measured peak.

        Args:
            config: The model's configuration.
            minutes: Training time; 0 for no limit.
            peak_flops: Peak of the devices in FLOP/s; see `matmul_peak`.

        Returns:
            The passes; infinite without a limit.
        """
        if not minutes:
            return float("inf")
        work = training_flops(config, self.source_tokens, self.target_tokens, self.pairs)
        return minutes * 60 * SUSTAINED * peak_flops / work
