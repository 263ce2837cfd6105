"""Parts of a batch that are computed at the same time, each on its share of the cores.

Between the matrix products of a narrow model, threads wait for each other nearly as long as they multiply. The parts of
a batch do not wait for each other until their gradients are added.
"""

import os
from pathlib import Path

from seqline.accelerators import required_accelerator, visible_gpus
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.batch_threads import share_cores
from seqline.components.train.devices import number_of_workers
from seqline.components.train.options import Options
from seqline.components.train.recommend import recommend
from seqline.components.train.scale import Speed
from seqline.modeling.config import TransformerConfig
from seqline.schema.auto import AUTO

PARTS = 2
"""With four parts of a batch of 4,096 tokens, what a part costs in any case weighs more than the waiting."""
NARROW = 128
"""Width of the hidden states up to which parts are faster: on two cores by 30% with 128, and no longer with 256."""
FASTEST_CORE = 4e12
"""FLOP/s of the fastest core: with Intel AMX, 2,048 operations of bfloat16 a cycle, at 2 GHz."""


def share_cores_among_parts(options: Options, corpus: Corpus, start: Path | None = None) -> None:
    """Gives each part its share of the cores, if the model will be narrow; before TensorFlow computes anything.

    Args:
        options: Options of training.
        corpus: The corpus.
        start: The checkpoint folder that training starts from, whose size the model gets; None for random weights.
    """
    if options.pretrained or options.xla == "on" or options.devices not in (AUTO, "one") or number_of_workers() > 1:
        return
    if required_accelerator() or visible_gpus():
        return
    if _largest(options, corpus, start).hidden_dim <= NARROW:
        share_cores(min(PARTS, _cores()))


def _largest(options: Options, corpus: Corpus, start: Path | None) -> TransformerConfig:
    """The largest model that training can choose."""
    if start is not None:
        return TransformerConfig.from_dict(Checkpoint(start).read_config().model)
    preset: str = options.preset
    if preset == AUTO:
        # The speed is not measured yet, and a slower machine never gets a larger model.
        fastest = Speed(FASTEST_CORE * _cores())
        preset = recommend(corpus.read_manifest(), options.minutes, fastest, options).preset
    return TransformerConfig.preset(preset, vocabulary_size=1)


def batch_parts(config: TransformerConfig, replicas: int, compiled: bool) -> int:
    """Returns the number of parts of each device's batch.

    Args:
        config: The model's configuration.
        replicas: Devices that share a batch.
        compiled: Whether XLA compiles the step.
    """
    import tensorflow as tf

    if (
        compiled
        or replicas > 1
        or config.hidden_dim > NARROW
        or visible_gpus()
        or tf.config.list_logical_devices("TPU")
    ):
        return 1
    return min(PARTS, _cores())


def products_at_once() -> int:
    """Returns the number of matrix products that use all cores: as many as operations have a share of them."""
    import tensorflow as tf

    threads = tf.config.threading.get_intra_op_parallelism_threads()
    return max(1, _cores() // threads) if threads else 1


def _cores() -> int:
    return len(os.sched_getaffinity(0))
