"""The parts that the architectures share: the embedding, the output layer, the masks."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from seqline.modeling.config import TransformerConfig
from seqline.modeling.dropout import Dropout
from seqline.modeling.normalization import normalization
from seqline.modeling.positions import distance_buckets, rotations, sinusoids

MASKED = -1e9


class LanguageModel(keras.Model):
    """A model that predicts the next target token from hidden states.

    A subclass defines `hidden`, from its inputs to hidden states `[batch, target length, hidden_dim]`, and builds its
    layers. Calling the model returns the logits, float32 `[batch, target length, vocabulary_size]`.

    Args:
        config: The configuration.
    """

    def __init__(self, config: TransformerConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.dropout = Dropout(config.dropout)
        self.encodings = sinusoids(config.max_length, config.hidden_dim)
        self.rotations = rotations(config, config.max_length) if config.positions == "rotary" else None
        initializer = keras.initializers.RandomNormal(stddev=config.hidden_dim**-0.5)

        def table(name: str, rows: int, columns: int = config.hidden_dim) -> Any:
            return self.add_weight(name=name, shape=(rows, columns), initializer=initializer)

        def relative(name: str) -> Any:
            used = config.positions == "relative" and getattr(config, f"{name}_layers")
            return table(f"{name}_relative", config.relative_buckets, config.num_heads) if used else None

        self.embedding = table("embedding", config.vocabulary_size)
        self.output_embedding = (
            self.embedding if config.tied_embeddings else table("output_embedding", config.vocabulary_size)
        )
        self.learned_positions = table("positions", config.max_length) if config.positions == "learned" else None
        self.encoder_relative, self.decoder_relative = relative("encoder"), relative("decoder")
        self.output_bias = None
        if config.logit_bias:
            self.output_bias = self.add_weight(name="output_bias", shape=(config.vocabulary_size,), initializer="zeros")
        self.decoder_norm = normalization(config, "decoder_norm") if config.norm_placement == "pre" else None

    def embed(self, ids: Any, positions: Any, training: bool = False) -> Any:
        """Looks up token embeddings and adds position encodings, unless positions are rotary or relative.

        Args:
            ids: int32 `[batch, length]`.
            positions: int32 `[batch or 1, length]`.
            training: Whether to apply dropout.

        Returns:
            `[batch, length, hidden_dim]`.
        """
        states = ops.take(self.embedding, ids, axis=0)
        if self.config.embedding_scale:
            states *= self.config.hidden_dim**0.5
        if self.config.positions in ("sinusoidal", "learned"):
            table = self.encodings if self.learned_positions is None else self.learned_positions
            states += ops.cast(ops.take(table, positions, axis=0), states.dtype)
        return self.dropout(ops.cast(states, self.compute_dtype), training=training)

    def rotations_at(self, positions: Any) -> Any:
        """Returns the encodings for `rotate`, `[num_heads * batch or 1, length, head_size]`, or None.

        Args:
            positions: int32 `[batch or 1, length]`.
        """
        if self.rotations is None:
            return None
        rotations = ops.take(self.rotations, positions, axis=0)
        return rotations if positions.shape[0] == 1 else ops.tile(rotations, (self.config.num_heads, 1, 1))

    def bias_of(self, visible: Any, queries: Any, relative: Any = None) -> Any:
        """Converts a mask to a bias of the attention logits, which all layers share.

        Args:
            visible: Booleans that broadcast to `[batch, queries, keys]`.
            queries: A tensor `[batch, queries, ...]`, for the shape.
            relative: From `relative_bias`; None for none.

        Returns:
            `[num_heads * batch, queries, keys]`: 0 or the relative bias, or very negative where masked.
        """
        batch, length = ops.shape(queries)[0], ops.shape(queries)[1]
        bias = ops.cast(ops.logical_not(visible), self.compute_dtype) * MASKED
        bias = ops.broadcast_to(bias, (batch, length, ops.shape(visible)[-1]))
        if relative is None:
            return ops.tile(bias, (self.config.num_heads, 1, 1))
        return ops.reshape(relative[:, None] + bias[None], (-1, length, ops.shape(visible)[-1]))

    def relative_bias(self, table: Any, length: Any, both: bool) -> Any:
        """The bias of the attention logits by distance, `[num_heads, length, length]`; None without a table.

        Args:
            table: float32 `[relative_buckets, num_heads]`.
            length: Number of queries and keys.
            both: Whether queries see later keys too.
        """
        if table is None:
            return None
        longest = self.config.max_length
        by_distance = ops.take(table, distance_buckets(self.config, longest, both), axis=0)
        order = ops.arange(length)
        bias = ops.take(by_distance, order[:, None] - order[None, :] + longest - 1, axis=0)
        return ops.cast(ops.transpose(bias, (2, 0, 1)), self.compute_dtype)

    def finish(self, states: Any) -> Any:
        """Normalizes the last layer's states, if the layers do not.

        Args:
            states: `[..., hidden_dim]`.
        """
        return states if self.decoder_norm is None else self.decoder_norm(states)

    def hidden(self, inputs: Any, training: bool = False) -> Any:
        """Computes the hidden states, `[batch, target length, hidden_dim]`, for `logits`.

        Args:
            inputs: The inputs of a call.
            training: Whether to apply dropout.
        """
        raise NotImplementedError

    def prompts(self, pairs: Sequence[tuple[Any, Any]], room: int) -> tuple[tuple[Any, Any], Any]:
        """Makes the inputs that decoding starts from.

        Args:
            pairs: Source and target token ids; only the sources are used.
            room: Output tokens that a row must hold.

        Returns:
            The sources and the rows to continue, each int32 `[pairs, ...]` and padded; and the index of `bos` in each
            row.
        """
        raise NotImplementedError

    def continuation(self, source: Any) -> Callable[[Any], Any]:
        """Computes everything that stays constant while rows are continued.

        Args:
            source: The sources that `prompts` returned.

        Returns:
            A function from rows to hidden states, `[rows, length, hidden_dim]`.
        """
        raise NotImplementedError

    def logits(self, states: Any) -> Any:
        """Applies the output layer: `[..., hidden_dim]` to float32 `[..., vocabulary_size]`.

        Args:
            states: Hidden states.
        """
        states, kernel = self.output_factors(states)
        # A product of bfloat16 would round the logits.
        return ops.matmul(ops.cast(states, "float32"), ops.transpose(ops.cast(kernel, "float32")))

    def output_factors(self, states: Any) -> tuple[Any, Any]:
        """The output layer as one product without a bias: the logits are `states @ kernel.T`.

        Args:
            states: Hidden states, `[..., hidden_dim]`.

        Returns:
            The states, with a column of ones if the output layer has a bias, and the kernel `[vocabulary_size, ...]`.
        """
        kernel = ops.convert_to_tensor(self.output_embedding)
        if self.config.logit_scale != 1:
            states = states * ops.cast(self.config.logit_scale, states.dtype)
        if self.output_bias is not None:
            kernel = ops.concatenate([kernel, ops.convert_to_tensor(self.output_bias)[:, None]], axis=1)
            states = ops.concatenate([states, ops.ones_like(states[..., :1])], axis=-1)
        return states, ops.cast(kernel, states.dtype)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """See the class."""
        return self.logits(self.hidden(inputs, training))

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration, for `from_config`."""
        return {"config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LanguageModel":  # type: ignore[override]
        """Returns the model of a configuration.

        Args:
            config: From `get_config`.
        """
        return cls(TransformerConfig.from_dict(config["config"]))


def padded(rows: Sequence[Sequence[int]], pad_id: int, min_length: int = 0) -> np.ndarray:
    """Pads rows of ids to a matrix.

    Args:
        rows: The ids.
        pad_id: The id to pad with.
        min_length: Minimum number of columns.
    """
    matrix = np.full((len(rows), max(min_length, *map(len, rows))), pad_id, np.int32)
    for number, row in enumerate(rows):
        matrix[number, : len(row)] = row
    return matrix
