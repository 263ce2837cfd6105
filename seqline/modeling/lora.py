"""Low-rank adapters beside dense layers (LoRA; Hu et al. 2021)."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from seqline.modeling.lora_targets import Target


class LowRank(keras.layers.Layer):
    """The product of two narrow matrices for each part of a dense layer's outputs.

    The weights are initialized as in PEFT, A uniformly and B with zeros, so that the layer's outputs are zero at first.

    Args:
        inputs: Size of the inputs.
        sizes: Size of the outputs of each part.
        adapted: Whether each part has an adapter; the others' outputs are zero.
        rank: Width of the narrow matrices.
        scale: Factor of the outputs.
    """

    def __init__(
        self, inputs: int, sizes: Sequence[int], adapted: Sequence[bool], rank: int, scale: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.inputs, self.sizes, self.adapted, self.rank, self.scale = inputs, sizes, adapted, rank, scale
        bound = inputs**-0.5  # torch.nn.init.kaiming_uniform_(a=sqrt(5)), as peft/tuners/lora/layer.py has it
        initializer = keras.initializers.RandomUniform(-bound, bound)
        self.down, self.up = [], []
        for number, (size, used) in enumerate(zip(sizes, adapted, strict=True)):
            if used:
                self.down.append(self.add_weight(name=f"a_{number}", shape=(inputs, rank), initializer=initializer))
                self.up.append(self.add_weight(name=f"b_{number}", shape=(rank, size), initializer="zeros"))
        self.built = True

    def pairs(self) -> Iterator[tuple[int, Any, Any]]:
        """Yields the number of each adapted part, with its A `[inputs, rank]` and B `[rank, size]`."""
        numbers = [number for number, used in enumerate(self.adapted) if used]
        yield from zip(numbers, self.down, self.up, strict=True)

    def factors(self, first: int = 0, last: int | None = None) -> tuple[Any, Any] | None:
        """Returns two matrices whose product is added to the dense layer's kernel; None if no part has an adapter.

        Those of several parts are one pair: A side by side, B in blocks on the diagonal.

        Args:
            first: Number of the first part.
            last: Number after the last part; None for all.

        Returns:
            `[inputs, ranks]`, and `[ranks, outputs of these parts]`, which includes the scale.
        """
        numbers = range(len(self.sizes))[first:last]
        chosen = [pair for pair in self.pairs() if pair[0] in numbers]
        if not chosen:
            return None
        total, blocks = sum(self.sizes[number] for number in numbers), []
        for number, _, up in chosen:
            before = sum(self.sizes[other] for other in numbers if other < number)
            blocks.append(tf.pad(up * self.scale, [[0, 0], [before, total - before - self.sizes[number]]]))
        return tf.concat([down for _, down, _ in chosen], axis=1), tf.concat(blocks, axis=0)

    def product(self) -> Any:
        """Returns what the adapters add to the dense layer's kernel, `[inputs, sum of the sizes]`."""
        down, up = self.factors() or (tf.zeros((self.inputs, 0)), tf.zeros((0, sum(self.sizes))))
        return tf.matmul(down, up)


class Projection(keras.layers.Dense):
    """A dense layer that can have an adapter.

    Attributes:
        adapter: The adapter, whose outputs are added; None for none.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.adapter: LowRank | None = None

    def adapt(self, sizes: Sequence[int], adapted: Sequence[bool], rank: int, scale: float) -> None:
        """Adds an adapter; see `LowRank`.

        Args:
            sizes: Size of the outputs of each part.
            adapted: Whether each part has an adapter.
            rank: Width of the narrow matrices.
            scale: Factor of the adapter's outputs.
        """
        self._tracker.unlock()  # as Dense.enable_lora does: the layer has been built
        self.adapter = LowRank(self.kernel.shape[0], sizes, adapted, rank, scale, name="adapter")
        self._tracker.lock()

    def merge(self) -> None:
        """Adds the adapter's product to the kernel, and removes the adapter."""
        if self.adapter is not None:
            self.kernel.assign(self.kernel + self.adapter.product())
            self._layers.remove(self.adapter)
            self.adapter = None

    def call(self, inputs: Any, training: Any = None) -> Any:
        """Maps `[..., inputs]` to `[..., outputs]`."""
        return product(inputs, self.kernel, self.bias, None if self.adapter is None else self.adapter.factors())


def product(states: Any, kernel: Any, bias: Any = None, factors: tuple[Any, Any] | None = None) -> Any:
    """Multiplies states by a kernel as one matrix: `keras.ops.matmul` takes three times as many operations to do so.

    Args:
        states: `[..., inputs]`.
        kernel: `[inputs, outputs]`.
        bias: `[outputs]`; None for none.
        factors: See `LowRank.factors`; with them the kernel has no gradient.

    Returns:
        `[..., outputs]`.
    """
    kernel = tf.convert_to_tensor(kernel)
    inputs, outputs = kernel.shape
    flat = tf.reshape(states, [-1, inputs])
    if factors is None:
        found = tf.matmul(flat, kernel)
    elif kernel.dtype == tf.float32:
        found = _adapted(flat, kernel, *factors)
    else:
        # Steps of the adapter are smaller than the spacing of bfloat16 numbers near the kernel's.
        down, up = (tf.cast(factor, kernel.dtype) for factor in factors)
        found = tf.matmul(flat, kernel) + tf.matmul(tf.matmul(flat, down), up)
    if bias is not None:
        found = tf.nn.bias_add(found, tf.convert_to_tensor(bias))
    return found if len(states.shape) == 2 else tf.reshape(found, [*_shape(states)[:-1], outputs])


def _shape(states: Any) -> list[Any]:
    """The sizes of the axes, as numbers where they are known."""
    sizes = states.shape.as_list()
    if None not in sizes:
        return list(sizes)
    found = tf.unstack(tf.shape(states), num=len(sizes))
    return [unknown if known is None else known for known, unknown in zip(sizes, found, strict=True)]


def _adapted(states: Any, kernel: Any, down: Any, up: Any) -> Any:
    """`states @ (kernel + down @ up)`, whose gradient never computes that of the kernel.

    The sum of the matrices is computed twice, which is cheaper than products of all states with narrow matrices.
    """

    @tf.custom_gradient
    def function(states: Any, down: Any, up: Any) -> tuple[Any, Any]:
        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            on_states = tf.matmul(upstream, kernel + tf.matmul(down, up), transpose_b=True)
            on_down = tf.matmul(states, tf.matmul(upstream, up, transpose_b=True), transpose_a=True)
            on_up = tf.matmul(tf.matmul(states, down), upstream, transpose_a=True)
            return on_states, on_down, on_up

        return tf.matmul(states, kernel + tf.matmul(down, up)), gradient

    return function(states, down, up)


def projections(model: Any) -> Iterator[tuple[str, Projection, tuple[Target, ...], list[int]]]:
    """Yields each dense layer of a model, with its path, the targets that its outputs are parts of and their sizes.

    Args:
        model: A `LanguageModel`.
    """
    config = model.config
    queries, keys = config.num_heads * config.head_size, config.kv_heads * config.head_size
    for stack in ("encoder", "decoder"):
        for number, layer in enumerate(getattr(model, stack, ())):
            for name in ("self_attention", "cross_attention")[: 1 + layer.has_cross]:
                block, path = getattr(layer, name), f"{stack}/{number}/{name}"
                yield f"{path}/project_in", block.project_in, ("queries", "keys", "values"), [queries, keys, keys]
                yield f"{path}/project_out", block.project_out, ("output",), [config.hidden_dim]
            block, path = layer.feed_forward, f"{stack}/{number}/feed_forward"
            parts: tuple[Target, ...] = ("expand", "expand") if config.gated else ("expand",)
            yield f"{path}/expand", block.expand, parts, [config.intermediate_dim] * len(parts)
            yield f"{path}/contract", block.contract, ("contract",), [config.hidden_dim]


def add_adapters(model: Any, targets: Sequence[Target], rank: int, alpha: float) -> None:
    """Adds adapters to all layers.

    Args:
        model: A `LanguageModel` that has been built.
        targets: The projections that get adapters.
        rank: Width of the narrow matrices.
        alpha: The outputs are multiplied by `alpha / rank`.
    """
    for _, layer, parts, sizes in projections(model):
        adapted = [part in targets for part in parts]
        if any(adapted):
            layer.adapt(sizes, adapted, rank, alpha / rank)


def merge_adapters(model: Any) -> None:
    """Adds all adapters to the kernels, and removes them.

    Args:
        model: A `LanguageModel`.
    """
    for _, layer, _, _ in projections(model):
        layer.merge()
