"""Planning a training: the model's configuration, the batches and what they decide."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from seqline.artifacts.text_tokenizer import TextTokenizer
from seqline.components.train.batches import Batches
from seqline.components.train.choices import Choices
from seqline.components.train.choosing import choose_updates
from seqline.components.train.copy_exercises import CopyExercises
from seqline.components.train.options import Options
from seqline.components.train.packing import Packs
from seqline.components.train.pairs import HeldPairs, Pairs
from seqline.components.train.records import TrainingData, needed
from seqline.components.train.starting import check_vocabulary, pretrained_config
from seqline.components.train.subwords import SAMPLED_PAIRS
from seqline.modeling.arranging import arranged
from seqline.modeling.config import TransformerConfig
from seqline.pretrained.checkpoint import Pretrained
from seqline.schema.auto import number
from seqline.tokenizers.host import read_tokenizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """A model and the batches that it is trained and evaluated on.

    Attributes:
        options: Options of training; none is auto except those of a pretrained shape, and the learning rate is not 0.
        data: The corpus and its pairs.
        config: The model's configuration.
        train: Batches to learn from.
        valid: Batches to evaluate on.
        choices: What was chosen for options that were auto.
    """

    options: Options
    data: TrainingData
    config: TransformerConfig
    train: Batches | Packs
    valid: Batches | Packs
    choices: Choices

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


def make_config(
    options: Options, vocabulary_size: int, max_length: int, special: Mapping[str, Any] = MappingProxyType({})
) -> TransformerConfig:
    """Makes the model's configuration.

    Args:
        options: Options of training; the preset is not auto.
        vocabulary_size: Tokens in the vocabulary.
        max_length: Longest sequence in tokens, end of sentence included.
        special: Fields of the configuration for another tokenizer than one of our own: ids of special tokens, and
            the form of prompts.
    """
    names = ("pad_id", "unk_id", "bos_id")
    ids = {name: TransformerConfig.model_fields[name].default for name in names} | dict(special)
    # No text has them; the padding may be the end.
    suppressed = tuple(sorted({ids[name] for name in names} - {None, ids.get("eos_id")}))
    config = TransformerConfig.preset(
        options.preset,
        vocabulary_size=vocabulary_size,
        max_length=max_length,
        suppressed_ids=suppressed,
        **ids,
        **options.shape,
    )
    return arranged(config, options.architecture)


def make_plan(
    options: Options,
    data: TrainingData,
    replicas: int,
    pretrained: Pretrained | None = None,
    choices: Choices = Choices(),  # noqa: B008 (frozen)
) -> Plan:
    """Makes the model's configuration and the batches, and chooses what is still open; logs all choices.

    Args:
        options: Options of training.
        data: The corpus and its pairs.
        replicas: Devices that share a batch.
        pretrained: The checkpoint that training starts from; None for none.
        choices: Those of `choose_model`, or all of an earlier process of this training; options that are auto need
            them.

    Raises:
        UserError: If the corpus does not fit the checkpoint.
    """
    choices = choices.of(options)
    options = choices.applied(options)
    vocabulary_size = data.manifest.vocabulary_size
    if pretrained is None:
        config = make_config(options, vocabulary_size, data.max_length(options.family), _special(options, data))
    else:
        tokenizer = _tokenizer(data)
        check_vocabulary(pretrained, vocabulary_size, tokenizer)
        tokens = needed(pretrained.config.architecture, data.lengths)
        config = pretrained_config(options, pretrained, tokens, tokenizer)

    exercises = None
    if options.copy_warmup_steps:
        exercises = CopyExercises(config, options.copy_warmup_steps * options.gradient_accumulation_steps)

    size = number(options.batch_tokens)

    def batches(pairs: Pairs, exercises: CopyExercises | None = None) -> Batches | Packs:
        if config.architecture == "gpt":
            return Packs(pairs, config, size, replicas=replicas)
        by_source = options.bucket_by == "source"
        return Batches(pairs, config, size, replicas=replicas, by_source=by_source, exercises=exercises)

    pairs = data.train.in_windows(SAMPLED_PAIRS) if options.subword_sampling else data.train
    train, valid = batches(pairs, exercises), batches(HeldPairs(data.valid))
    each = train.tokens / len(train)
    choices = choices.with_more(choose_updates(options, config, len(train), each, choices.passes))
    for line in choices.lines():
        log.info("%s", line)
    return Plan(choices.applied(options).settled(), data, config, train, valid, choices)


def _tokenizer(data: TrainingData) -> TextTokenizer:
    return read_tokenizer(data.corpus.tokenizer.read_bytes(), str(data.corpus.tokenizer))


def _special(options: Options, data: TrainingData) -> dict[str, Any]:
    """The fields of the configuration that the corpus's tokenizer decides."""
    tokenizer = _tokenizer(data)
    ids = {"pad_id": tokenizer.pad, "unk_id": tokenizer.unknown, "bos_id": tokenizer.start, "eos_id": tokenizer.end}
    found: dict[str, Any] = {name: None if id_ < 0 else id_ for name, id_ in ids.items()}
    if options.family == "gpt" and not tokenizer.own:
        found["prompt_form"] = "template"  # the tokenizer puts all of a prompt around the source
    return found
