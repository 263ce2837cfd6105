"""How much there is to learn from, and how often a training sees it."""

from dataclasses import dataclass

from seqline.artifacts.corpus import Manifest
from seqline.components.train.flops import training_flops
from seqline.components.train.options import Options
from seqline.modeling.config import TransformerConfig

COPYING = ("summarization", "question_answering")
"""Tasks whose outputs repeat parts of the input."""
SIDES = ("source", "target")
PASSES, COPYING_PASSES = 10, 20
"""Passes over the data that a model needs, and that it needs where outputs copy from the input."""
EARLY_PASSES = {"demo": 5, "tiny": 5}
"""Those where outputs copy from the input, of the presets that were measured: docs/training.md has the experiment."""
SUSTAINED = 0.35
"""Share of the measured peak that training is expected to sustain, where it is not measured."""


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

    def needed_passes(self, preset: str) -> int:
        """Returns the passes over the data that a model needs.

        Args:
            preset: Its size.
        """
        return EARLY_PASSES.get(preset, COPYING_PASSES) if self.copying else PASSES

    def passes(
        self,
        config: TransformerConfig,
        minutes: float,
        speed: float,
        options: Options = Options(),  # noqa: B008 (frozen)
    ) -> float:
        """Returns the passes over the data that a time limit allows.

        Args:
            config: The model's configuration.
            minutes: Training time; 0 for no limit.
            speed: FLOP/s that training sustains on all devices.
            options: Options of training, which decide the work for a token.

        Returns:
            The passes; infinite without a limit.
        """
        if not minutes:
            return float("inf")
        work = training_flops(config, self.source_tokens, self.target_tokens, self.pairs, options)
        return minutes * 60 * speed / work


class Speed:
    """The speed of training, estimated from the peak of the devices.

    Args:
        peak_flops: Peak of all devices in FLOP/s; see `matmul_peak`.
        memory: Bytes of each device; 0 if that is not known.
    """

    def __init__(self, peak_flops: float, memory: float = 0) -> None:
        self.peak_flops, self.memory = peak_flops, memory

    def sustained(self, preset: str) -> float:
        """Returns the FLOP/s that training with a preset sustains; 0 if it does not fit into the memory.

        Args:
            preset: The preset.
        """
        return SUSTAINED * self.peak_flops
