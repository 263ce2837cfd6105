"""Planning a training: the preset, the model's configuration and the batches."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from seqline.artifacts.corpus import Manifest
from seqline.components.train.batches import Batches
from seqline.components.train.options import Options
from seqline.components.train.packing import Packs
from seqline.components.train.recommend import recommend
from seqline.components.train.records import Pair, TrainingData
from seqline.modeling.config import TransformerConfig
from seqline.tokenizers.host import read_tokenizer

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
        return (
            f"{self.options.architecture} {self.options.preset}, {precision}: {weights:,} weights, "
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


def make_config(
    options: Options, vocabulary_size: int, max_length: int, special: Mapping[str, int] = MappingProxyType({})
) -> TransformerConfig:
    """Makes the model's configuration.

    Args:
        options: Options of training; the preset is not auto.
        vocabulary_size: Tokens in the vocabulary.
        max_length: Longest sequence in tokens, end of sentence included.
        special: Ids of the special tokens by the configuration's names; those of a tokenizer of our own by default.
    """
    return TransformerConfig.preset(
        options.preset, vocabulary_size=vocabulary_size, max_length=max_length, **special, **options.shape
    )


def make_plan(options: Options, data: TrainingData, replicas: int) -> Plan:
    """Makes the model's configuration and the batches.

    Args:
        options: Options of training; the preset is not auto.
        data: The corpus and its pairs.
        replicas: Devices that share a batch.
    """
    tokenizer = read_tokenizer(data.corpus.tokenizer.read_bytes(), str(data.corpus.tokenizer))
    ids = {"pad_id": tokenizer.pad, "unk_id": tokenizer.unknown, "bos_id": tokenizer.start, "eos_id": tokenizer.end}
    config = make_config(options, data.manifest.vocabulary_size, data.max_length(options.architecture), ids)

    def batches(pairs: list[Pair]) -> Batches | Packs:
        return batches_kind(options)(pairs, config, options.batch_tokens, replicas=replicas)

    return Plan(options, data, config, batches(data.train), batches(data.valid))


def batches_kind(options: Options) -> Any:
    """Returns the class of the batches: packs for a gpt.

    Args:
        options: Options of training.
    """
    return Packs if options.architecture == "gpt" else Batches
