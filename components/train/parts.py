"""Parts of a batch that are computed at the same time, each on its share of the cores.

Between the matrix products of a narrow model, threads wait for each other nearly as long as they multiply. The parts of
a batch do not wait for each other until their gradients are added.
"""

import os

from seqline.accelerators import visible_gpus
from seqline.batch_threads import share_cores
from seqline.components.train.devices import number_of_workers
from seqline.components.train.options import Options
from seqline.modeling.config import TransformerConfig
from seqline.schema.auto import AUTO

PARTS = 2
"""With four parts of a batch of 4,096 tokens, what a part costs in any case weighs more than the waiting."""
NARROW = 128
"""Width of the hidden states up to which parts are faster: on two cores by 30% with 128, and no longer with 256."""


def share_cores_among_parts(options: Options) -> None:
    """Gives each part its share of the cores, if the model will be narrow; before TensorFlow computes anything.

    Args:
        options: Options of training.
    """
    if options.pretrained or options.preset == AUTO or options.devices not in (AUTO, "one") or number_of_workers() > 1:
        return
    config = TransformerConfig.preset(options.preset, vocabulary_size=1)
    if options.xla != "on" and config.hidden_dim <= NARROW:
        share_cores(min(PARTS, _cores()))


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
