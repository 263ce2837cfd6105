"""A slice's cores as a distribution strategy, for lowering the program of one core and its collectives."""

from typing import Any

import tensorflow as tf
from tensorflow.python.distribute.one_device_strategy import OneDeviceExtended


class Replicas(tf.distribute.Strategy):
    """Traces the program of one replica, with the collectives of a `TPUStrategy`.

    Args:
        count: Number of replicas.
    """

    def __init__(self, count: int) -> None:
        super().__init__(_Extended(self, count))


class _Extended(OneDeviceExtended):
    """One device, whose sums over replicas are XLA's all-reduce."""

    def __init__(self, strategy: tf.distribute.Strategy, count: int) -> None:
        super().__init__(strategy, "/cpu:0")
        self.count = count

    @property
    def _num_replicas_in_sync(self) -> int:
        return self.count

    def _use_merge_call(self) -> bool:
        return False

    def _replica_ctx_all_reduce(self, reduce_op: Any, value: Any, options: Any = None) -> Any:
        if self.count == 1:
            return value

        def reduce(tensor: Any) -> Any:
            return tf.raw_ops.CollectiveReduceV2(
                # Gradients of embeddings are sparse.
                input=tf.convert_to_tensor(tensor),
                group_size=self.count,
                group_key=1,
                instance_key=1,
                ordering_token=[],
                merge_op="Add",
                final_op="Id" if reduce_op == tf.distribute.ReduceOp.SUM else "Div",
            )

        return [reduce(tensor) for tensor in value] if isinstance(value, (list, tuple)) else reduce(value)
