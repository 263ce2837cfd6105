"""The memory that a training needs, estimated before it starts."""

import logging
import os
from contextlib import suppress
from pathlib import Path

from seqline.components.train.buckets import Bucket
from seqline.components.train.options import Options
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig

log = logging.getLogger(__name__)

# The limit of a container's memory: docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
FLOAT = 4


def count_weights(config: TransformerConfig) -> int:
    """Counts a model's weights.

    Args:
        config: Its configuration.
    """
    dim, norm = config.hidden_dim, _norm(config)
    final = norm if config.norm_placement == "pre" else 0
    found = config.vocabulary_size * dim * (1 if config.tied_embeddings else 2)
    found += config.vocabulary_size if config.logit_bias else 0
    found += config.max_length * dim if config.positions == "learned" else 0
    # Of the pointer: queries and keys, and the gate.
    keys = config.kv_heads * config.head_size
    found += 2 * dim * keys + dim + keys + 1 if config.pointer else 0
    for layers, cross in ((config.encoder_layers, False), (config.decoder_layers, config.architecture != "gpt")):
        if layers:
            found += final + layers * _layer(config, cross)
            found += config.relative_buckets * config.num_heads if config.positions == "relative" else 0
    return found


def count_trained(config: TransformerConfig, options: Options) -> int:
    """Counts the weights that are trained.

    Args:
        config: The model's configuration.
        options: Options of training.
    """
    cross = config.architecture != "gpt"
    if options.fine_tuning == "last":
        final = _norm(config) if config.norm_placement == "pre" else 0
        return options.last_layers * _layer(config, cross) + final
    if options.fine_tuning == "full":
        return count_weights(config)
    dim, inner, matrices = config.hidden_dim, config.intermediate_dim, 2 if config.gated else 1
    queries, keys = config.num_heads * config.head_size, config.kv_heads * config.head_size
    attention = {"queries": dim + queries, "keys": dim + keys, "values": dim + keys, "output": queries + dim}
    feed_forward = {"expand": matrices * (dim + inner), "contract": inner + dim}
    blocks = config.encoder_layers + config.decoder_layers * (2 if cross else 1)
    found = sum(blocks * attention.get(target, 0) for target in options.lora_targets)
    layers = config.encoder_layers + config.decoder_layers
    return options.lora_rank * (found + sum(layers * feed_forward.get(target, 0) for target in options.lora_targets))


def estimate(
    config: TransformerConfig, options: Options, buckets: list[Bucket], replicas: int, precision: str
) -> dict[str, int]:
    """Estimates the memory of each device.

    It counts what must be in memory at the same time, and no temporary copies: a training that does not fit by it
    cannot run.

    Args:
        config: The model's configuration.
        options: Options of training.
        buckets: Shapes of the batches.
        replicas: Devices that share a batch.
        precision: float32 or bfloat16.

    Returns:
        Bytes by part.
    """
    weights, trained = FLOAT * count_weights(config), FLOAT * count_trained(config, options)
    adapters = trained if options.fine_tuning == "lora" else 0
    return {
        "weights": weights + adapters,
        "gradients": trained * (2 if options.gradient_accumulation_steps > 1 else 1),
        "optimizer": 2 * trained,
        "average": trained if options.ema_momentum else 0,
        "activations": max(_activations(config, options, bucket, replicas, precision) for bucket in buckets),
    }


def check_memory(
    config: TransformerConfig, options: Options, buckets: list[Bucket], replicas: int, precision: str
) -> None:
    """Logs the memory that a training needs, a line for each part, and refuses one that does not fit.

    Args:
        config: The model's configuration.
        options: Options of training.
        buckets: Shapes of the batches.
        replicas: Devices that share a batch.
        precision: float32 or bfloat16.

    Raises:
        UserError: If it needs more than the device has.
    """
    parts = estimate(config, options, buckets, replicas, precision)
    for name, size in parts.items():
        log.info("memory: %s %s", name, _readable(size))
    total, (limit, place) = sum(parts.values()), device_memory()
    if not limit:
        log.info("memory: at least %s", _readable(total))
        return
    log.info("memory: at least %s of the %s of %s", _readable(total), _readable(limit), place)
    if total > limit:
        largest = max(parts, key=lambda name: parts[name])
        raise UserError(
            f"training needs at least {_readable(total)} of memory, but {place} has {_readable(limit)}; most of it is "
            f"{largest} ({_readable(parts[largest])}): {_advice(options, largest)}, or use a machine with more memory"
        )


def device_memory() -> tuple[int, str]:
    """Returns the bytes of the device that trains, and whose they are; 0 where that is unknown, as on a TPU."""
    import tensorflow as tf

    if tf.config.list_logical_devices("TPU"):
        return 0, "the TPU"
    if tf.config.list_logical_devices("GPU"):
        from tensorflow.python.client import device_lib

        limits = [one.memory_limit for one in device_lib.list_local_devices() if one.device_type == "GPU"]
        return min(limits, default=0), "the GPU"
    return machine_memory()


def machine_memory(files: tuple[str, ...] = LIMITS) -> tuple[int, str]:
    """Returns the bytes of the container or the machine, and which of them it is.

    Args:
        files: Files with a container's limit.
    """
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in files:
        with suppress(OSError, ValueError):  # ValueError: "max" is no limit
            limit = int(Path(file).read_text(encoding="utf-8"))
            if 0 < limit < physical:
                return limit, "this container"
    return physical, "this machine"


def _advice(options: Options, largest: str) -> str:
    changes = []
    if largest == "activations":
        changes.append(f"lower training.batch_tokens ({options.batch_tokens})")
        if not options.gradient_checkpointing:
            changes.append("set training.gradient_checkpointing")
    elif options.fine_tuning == "full" and options.pretrained:
        changes.append("set training.fine_tuning to lora")
    else:
        changes.append("use a smaller model")
    return " or ".join(changes)


def _readable(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e6:.2f} MB"


def _norm(config: TransformerConfig) -> int:
    return config.hidden_dim * (1 if config.norm == "rms" else 2)


def _layer(config: TransformerConfig, cross: bool) -> int:
    dim, inner = config.hidden_dim, config.intermediate_dim
    queries, keys = config.num_heads * config.head_size, config.kv_heads * config.head_size
    attention = 2 * dim * (queries + keys)
    attention += queries + 2 * keys if config.attention_bias != "none" else 0
    attention += dim if config.attention_bias == "all" else 0
    matrices = 2 if config.gated else 1
    feed_forward = dim * inner * (matrices + 1)
    feed_forward += inner * matrices + dim if config.feed_forward_bias else 0
    blocks = 2 if cross else 1
    return blocks * attention + feed_forward + (blocks + 1) * _norm(config)


def _activations(config: TransformerConfig, options: Options, bucket: Bucket, replicas: int, precision: str) -> int:
    """Bytes of the activations that the gradients of one batch need."""
    size, rows = 2 if precision == "bfloat16" else FLOAT, -(-bucket.rows // replicas)
    rows *= 2 if options.r_drop else 1
    queries, keys = config.num_heads * config.head_size, config.kv_heads * config.head_size
    inner = config.intermediate_dim * (4 if config.gated else 2)

    def attention(length: int, seen: int) -> int:
        # The input, the normalized input, the mixed values; queries, keys and values; the weights.
        here = length * (2 * config.hidden_dim + 2 * queries) + seen * 2 * keys
        return rows * (here * size + config.num_heads * length * seen * FLOAT)

    def feed_forward(length: int) -> int:
        return rows * length * (2 * config.hidden_dim + inner) * size

    target = attention(bucket.target, bucket.target) + feed_forward(bucket.target)
    source = attention(bucket.source, bucket.source) + feed_forward(bucket.source)
    if config.architecture != "gpt":
        target += attention(bucket.target, bucket.source)
    stacks = [(config.encoder_layers, source, bucket.source), (config.decoder_layers, target, bucket.target)]
    if options.fine_tuning == "last":
        stacks = [(options.last_layers, target, bucket.target)]
    # Of the pointer: keys, queries and context, and the weights, all in float32.
    pointer = bucket.source * keys + bucket.target * (2 * keys + bucket.source)
    pointer = rows * pointer * FLOAT if config.pointer else 0
    if options.gradient_checkpointing:
        # The input of each layer, and all of one.
        inputs = sum(layers * rows * length * config.hidden_dim * size for layers, _, length in stacks)
        return pointer + inputs + max(one for layers, one, _ in stacks if layers)
    return pointer + sum(layers * one for layers, one, _ in stacks)
