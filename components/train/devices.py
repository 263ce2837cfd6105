"""The devices that train, and how they share a batch."""

import functools
import json
import logging
import os
from typing import Any

from seqline.accelerators import multiplies_bfloat16, no_gpu, require_gpu, required_accelerator, visible_gpus
from seqline.errors import UserError

log = logging.getLogger(__name__)


def choose_strategy(devices: str) -> Any:
    """Makes the distribution strategy; must be called before TensorFlow does anything else.

    Args:
        devices: one; mirrored (all GPUs of this machine); workers (the cluster that `TF_CONFIG` describes, as Vertex
            sets it); tpu; or auto: the first that is available of workers, tpu, mirrored, one. In an image for an
            accelerator that is never the CPU.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        UserError: If there are no such devices.
    """
    import tensorflow as tf

    require_gpu()
    if required_accelerator() == "TPU":
        if devices not in ("auto", "tpu"):
            raise UserError(f"devices is {devices}, but this image trains on a TPU; set devices to auto or tpu")
        return _tpu()

    if devices == "workers" or (devices == "auto" and number_of_workers() > 1):
        if number_of_workers() < 1:
            raise UserError('devices is workers, but TF_CONFIG names none: set it to {"cluster": ..., "task": ...}')
        log.info("%d workers, of which this is %s; waiting until all are there", number_of_workers(), _task())
        return tf.distribute.MultiWorkerMirroredStrategy()
    if devices == "tpu" or (devices == "auto" and tf.config.list_logical_devices("TPU")):
        return _tpu()
    if devices == "mirrored" and not visible_gpus():
        raise UserError(
            f"devices is mirrored, which is all GPUs, but {no_gpu()}; use a GPU machine or set devices to auto"
        )
    if devices == "mirrored" or (devices == "auto" and len(tf.config.list_logical_devices("GPU")) > 1):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: Any) -> bool:
    """Whether this process is the one that writes.

    Args:
        strategy: From `choose_strategy`.
    """
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    return resolver.task_type == "chief" or (
        resolver.task_type == "worker" and resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs
    )


def several_workers(strategy: Any) -> bool:
    """Whether the strategy's replicas are in several processes, which must do the same at the same step.

    Args:
        strategy: From `choose_strategy`.
    """
    import tensorflow as tf

    # Keras treats the metrics of a single worker like those of one machine.
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and number_of_workers() > 1


def gather(strategy: Any, *values: float) -> list[tuple[float, ...]]:
    """Gathers values from all workers, each of which must call it at the same step; otherwise they wait forever.

    Args:
        strategy: From `choose_strategy`.
        *values: The values of this worker.

    Returns:
        The values of each replica, the chief's first; with one process, its own.
    """
    import tensorflow as tf

    if not several_workers(strategy):
        return [values]
    return [tuple(row) for row in _gather_function(strategy)(tf.constant([values], tf.float64)).numpy().tolist()]


@functools.cache
def _gather_function(strategy: Any) -> Any:
    """The collective of `gather` as a graph: traced once, not at every step."""
    import tensorflow as tf

    @tf.function
    def gather_rows(row: Any) -> Any:
        return strategy.gather(strategy.run(tf.identity, args=(row,)), axis=0)

    return gather_rows


def native_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 in hardware: a TPU, or a processor with AVX512-BF16 or AMX."""
    import tensorflow as tf

    if tf.config.list_logical_devices("TPU"):
        return True
    return multiplies_bfloat16() and not tf.config.list_logical_devices("GPU")


def number_of_workers() -> int:
    """Returns the workers of the cluster that `TF_CONFIG` describes; 0 if it describes none."""
    cluster = _tf_config().get("cluster") or {}
    return sum(len(cluster.get(job, [])) for job in ("chief", "worker"))


def _tf_config() -> dict[str, Any]:
    try:
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    except json.JSONDecodeError as error:
        raise UserError(f"TF_CONFIG is not JSON: {error}") from None
    return config if isinstance(config, dict) else {}


def _task() -> str:
    task = _tf_config().get("task") or {}
    return f"{task.get('type')} {task.get('index')}"


def _tpu() -> Any:
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        if required_accelerator() == "TPU":
            message = (
                f"this image is for TPUs, but none can be used ({reason}); request a TPU, or use the image for CPUs"
            )
        else:
            message = f"devices is tpu, but no TPU can be used ({reason}); use a TPU machine or set devices to auto"
        raise UserError(message) from None
    return tf.distribute.TPUStrategy(resolver)
