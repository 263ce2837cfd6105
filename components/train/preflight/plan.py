"""The batches that training would run, with a corpus or without one."""

from dataclasses import dataclass
from pathlib import Path

from seqline.artifacts.corpus import Corpus
from seqline.components.train.options import Options
from seqline.components.train.preflight.report import Bucket
from seqline.components.train.preflight.slices import Slice
from seqline.modeling.config import TransformerConfig
from seqline.schema.auto import number

LENGTHS = (32,)
"""Lengths of the buckets besides the longest, without a corpus."""


@dataclass(frozen=True)
class Plan:
    """A model and the shapes of its batches.

    Attributes:
        options: Options of training, of which none is auto.
        config: The model's configuration.
        buckets: Shapes of the batches over all replicas, with their steps.
    """

    options: Options
    config: TransformerConfig
    buckets: list[Bucket]


def plan_of(corpus: Corpus, options: Options, slice_: Slice, start: Path | None = None) -> Plan:
    """Makes the batches that training would make.

    For options that are auto, training chooses by the peak that it measures, and this by that of the slice.

    Args:
        corpus: The corpus.
        options: Options of training.
        slice_: The cores that share a batch.
        start: The checkpoint folder that training starts from; None for none.

    Raises:
        UserError: If the corpus has no pairs, or an option does not work with so many cores.
    """
    options.check_replicas(slice_.replicas)
    from seqline.components.train.choosing import choose_model
    from seqline.components.train.plan import make_plan
    from seqline.components.train.records import read_data
    from seqline.components.train.scale import Speed
    from seqline.components.train.starting import opened_pretrained

    data = read_data(corpus)
    choices = choose_model(options, data, Speed(slice_.peak_flops), start)
    with opened_pretrained(options) as pretrained:
        plan = make_plan(options, data, slice_.replicas, pretrained, choices)
    shapes = zip(plan.train.buckets, plan.train.counts, strict=True)
    buckets = [Bucket(one.rows, one.source, one.target, count * plan.options.epochs) for one, count in shapes]
    return Plan(plan.options, plan.config, buckets)


def plan_without_corpus(
    options: Options, vocabulary_size: int, max_tokens: int, replicas: int, lengths: tuple[int, ...] = ()
) -> Plan:
    """Plans the longest possible batch, and usual ones.

    Args:
        options: Options of training.
        vocabulary_size: Tokens in the vocabulary.
        max_tokens: Longest source or target.
        replicas: Cores that share a batch.
        lengths: Lengths of the batches; empty for the usual ones.

    Raises:
        UserError: If an option is auto, or an option does not work with so many cores.
    """
    options.check_replicas(replicas)
    from seqline.components.train.records import SMALLEST
    from seqline.components.train.starting import opened_pretrained, pretrained_config

    with opened_pretrained(options) as pretrained:
        architecture = pretrained.config.architecture if pretrained else options.family
        tokens = (2 if architecture == "gpt" else 1) * (max_tokens + 1)
        if pretrained:
            config = pretrained_config(options, pretrained, tokens)
        else:
            config = config_of(options, vocabulary_size, max(SMALLEST[architecture], tokens))
    chosen = lengths or (*(length for length in LENGTHS if length <= max_tokens), max_tokens + 1)
    if config.architecture == "gpt":
        chosen = lengths or (config.max_length,)
    rows = [max(replicas, number(options.batch_tokens) // length // replicas * replicas) for length in chosen]
    return Plan(options, config, [Bucket(count, length, length) for count, length in zip(rows, chosen, strict=True)])


def config_of(options: Options, vocabulary_size: int, length: int) -> TransformerConfig:
    """Returns the configuration of the model that training would make.

    Args:
        options: Options of training.
        vocabulary_size: Tokens in the vocabulary.
        length: Longest sequence in tokens, end of sentence included.

    Raises:
        UserError: If an option is auto.
    """
    options.check_decided("to run preflight")
    from seqline.components.train.plan import make_config

    return make_config(options, vocabulary_size, length)
