"""Planning a training: the preset, the model's configuration and the batches."""

import logging
from dataclasses import dataclass
from typing import Any

from seqline.artifacts.corpus import Manifest
from seqline.components.train.batches import Batches
from seqline.components.train.options import Options
from seqline.components.train.packing import Packs
from seqline.components.train.recommend import recommend
from seqline.components.train.records import Pair, TrainingData, needed
from seqline.components.train.starting import check_vocabulary, pretrained_config
from seqline.modeling.config import TransformerConfig
from seqline.pretrained.checkpoint import Pretrained

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """A model and the batches that it is trained and evaluated on.

    Attributes:
        options: Options of training; the preset is not auto.
        data: The corpus and its pairs.
        config: The model's configuration.
        train: Batches to learn from.
        valid: Batches to evaluate on.
    """

    options: Options
    data: TrainingData
    config: TransformerConfig
    train: Batches | Packs
    valid: Batches | Packs

    def describe(self, precision: str, weights: int) -> str:
        """Describes model and batches in a line.

        Args:
            precision: float32 or bfloat16.
            weights: Number of weights.
        """
        size = self.options.pretrained or self.options.preset
        return (
            f"{self.config.architecture} {size}, {precision}: {weights:,} weights, "
            f"{self.config.vocabulary_size} tokens; {len(self.data.train)} train pairs in {len(self.train)} batches of "
            f"{self.train.shapes}; {self.train.padding_share:.1%} padding"
        )


def select_preset(options: Options, manifest: Manifest, peak_flops: float) -> Options:
    """Replaces the preset auto by the recommended one and logs the reasons.

    Args:
        options: Options of training.
        manifest: The corpus's manifest.
        peak_flops: Peak of all devices, in FLOP/s.
    """
    if options.preset != "auto":
        return options
    recommendation = recommend(manifest, options.minutes, peak_flops)
    for reason in recommendation.reasons:
        log.info("preset auto: %s", reason)
    return options.with_values(preset=recommendation.preset)


def make_config(options: Options, vocabulary_size: int, max_length: int) -> TransformerConfig:
    """Makes the model's configuration.

    Args:
        options: Options of training; the preset is not auto.
        vocabulary_size: Tokens in the vocabulary.
        max_length: Longest sequence in tokens, end of sentence included.
    """
    return TransformerConfig.preset(
        options.preset, vocabulary_size=vocabulary_size, max_length=max_length, **options.shape
    )


def make_plan(options: Options, data: TrainingData, replicas: int, pretrained: Pretrained | None = None) -> Plan:
    """Makes the model's configuration and the batches.

    Args:
        options: Options of training; the preset is not auto.
        data: The corpus and its pairs.
        replicas: Devices that share a batch.
        pretrained: The checkpoint that training starts from; None for none.

    Raises:
        UserError: If the corpus does not fit the checkpoint.
    """
    size = data.manifest.vocabulary_size
    if pretrained is None:
        config = make_config(options, size, data.max_length(options.architecture))
    else:
        check_vocabulary(pretrained, size)
        tokens = needed(pretrained.config.architecture, [*data.train, *data.valid])
        config = pretrained_config(options, pretrained, tokens)

    def batches(pairs: list[Pair]) -> Batches | Packs:
        return batches_kind(config)(pairs, config, options.batch_tokens, replicas=replicas)

    return Plan(options, data, config, batches(data.train), batches(data.valid))


def batches_kind(config: TransformerConfig) -> Any:
    """Returns the class of the batches: packs for a gpt.

    Args:
        config: The model's configuration.
    """
    return Packs if config.architecture == "gpt" else Batches
