"""Low-rank adapters beside dense layers (LoRA; Hu et al. 2021)."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

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

    def call(self, states: Any, first: int = 0, last: int | None = None) -> Any:
        """Maps `[..., inputs]` to the outputs of some parts, side by side.

        Args:
            states: The dense layer's inputs.
            first: Number of the first part.
            last: Number after the last part; None for all.
        """
        numbers = range(len(self.sizes))[first:last]
        pairs = {number: (down, up) for number, down, up in self.pairs() if number in numbers}
        shape = tf.shape(states)[:-1]
        narrow = iter(())
        if pairs:
            # One product reads the states once.
            downs = ops.concatenate([ops.convert_to_tensor(down) for down, _ in pairs.values()], axis=-1)
            narrow = iter(ops.split(ops.matmul(states, ops.cast(downs, states.dtype)), len(pairs), axis=-1))
        found = [
            ops.matmul(next(narrow), ops.cast(pairs[number][1], states.dtype))
            if number in pairs
            else tf.zeros(tf.concat([shape, [self.sizes[number]]], 0), states.dtype)
            for number in numbers
        ]
        return (found[0] if len(found) == 1 else ops.concatenate(found, axis=-1)) * self.scale

    def product(self) -> Any:
        """Returns what the adapters add to the dense layer's kernel, `[inputs, sum of the sizes]`."""
        parts = {number: ops.matmul(down, up) for number, down, up in self.pairs()}
        columns = [
            parts[number] if number in parts else ops.zeros((self.inputs, size))
            for number, size in enumerate(self.sizes)
        ]
        return ops.concatenate(columns, axis=-1) * self.scale


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
        outputs = super().call(inputs)
        return outputs if self.adapter is None else outputs + self.adapter(inputs)


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
