"""The encoder-decoder Transformer (Vaswani et al. 2017)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import LanguageModel, padded
from seqline.modeling.layers import TransformerLayer
from seqline.modeling.normalization import normalization
from seqline.modeling.pointer import Pointed, Pointer, mixed


class Transformer(LanguageModel):
    """Maps source and target tokens to logits of the next target token.

    Source and target share one embedding.

    Args:
        config: The configuration.

    Call arguments:
        inputs: A pair of int32 `[batch, source length]`, ending in `eos`, and int32 `[batch, target length]`,
            starting with `config.start`; both padded with `pad_id`.

    Returns of a call:
        float32 `[batch, target length, vocabulary_size]`.

    Example:
        >>> model = Transformer(TransformerConfig.preset("tiny", vocabulary_size=8000))
        >>> model((source, target)).shape
        TensorShape([2, 7, 8000])
    """

    def __init__(self, config: TransformerConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.encoder = [
            TransformerLayer(config, cross=False, name=f"encoder_{i}") for i in range(config.encoder_layers)
        ]
        self.decoder = [TransformerLayer(config, cross=True, name=f"decoder_{i}") for i in range(config.decoder_layers)]
        self.encoder_norm = normalization(config, "encoder_norm") if config.norm_placement == "pre" else None
        for layer in (*self.encoder, *self.decoder, self.encoder_norm, self.decoder_norm):
            if layer is not None:
                layer.build((None, None, config.hidden_dim))
        self.pointer = Pointer(config, name="pointer") if config.pointer else None
        if self.pointer is not None:
            self.pointer.build((None, None, config.hidden_dim))
        self.built = True

    def encode(self, source: Any, training: bool = False) -> Any:
        """Runs the encoder.

        Args:
            source: int32 `[batch, source length]`.
            training: Whether to apply dropout.

        Returns:
            The memory, `[batch, source length, hidden_dim]`.
        """
        positions = ops.arange(ops.shape(source)[1])[None]
        relative = self.relative_bias(self.encoder_relative, ops.shape(source)[1], both=True)
        bias = self.bias_of(self.real(source), source, relative)
        rotations = self.rotations_at(positions)
        states = self.embed(source, positions, training)
        for layer in self.encoder:
            states = layer(states, bias, rotations=rotations, training=training)
        return states if self.encoder_norm is None else self.encoder_norm(states)

    def real(self, source: Any) -> Any:
        """Returns where the source is not padding, `[batch, 1, source length]`.

        Args:
            source: int32 `[batch, source length]`.
        """
        return ops.not_equal(source, self.config.padding)[:, None]

    def hidden(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """See `LanguageModel`; the inputs are those of a call."""
        source, target = inputs
        return self.decode(self.encode(source, training), source, target, training)

    def decode(self, memory: Any, source: Any, target: Any, training: bool = False) -> Any:
        """Runs the decoder on whole targets.

        Args:
            memory: From `encode`.
            source: int32 `[batch, source length]`.
            target: int32 `[batch, target length]`, starting with `config.start`.
            training: Whether to apply dropout.

        Returns:
            Hidden states, `[batch, target length, hidden_dim]`, or with a pointer `Pointed`.
        """
        memory_bias = self.bias_of(self.real(source), target)
        positions = ops.arange(ops.shape(target)[1])[None]
        relative = self.relative_bias(self.decoder_relative, ops.shape(target)[1], both=False)
        # A target is padded at its end only, so the causal mask hides the padding too.
        bias = self.bias_of((positions[:, None] <= positions[:, :, None]), target, relative)
        rotations = self.rotations_at(positions)
        states = self.embed(target, positions, training)
        for layer in self.decoder:
            states = layer(states, bias, memory, memory_bias, rotations, training=training)
        states = self.finish(states)
        return states if self.pointer is None else self.pointer(states, memory, source)

    def logits(self, states: Any) -> Any:
        """See `LanguageModel`; with a pointer they are log probabilities, float32 `[..., vocabulary_size]`.

        Args:
            states: What `hidden` returns, or some rows of all of it.
        """
        if not isinstance(states, Pointed):
            return super().logits(states)
        logits = super().logits(states.states)
        width = tf.shape(states.source)[-1]
        scores, source = (tf.reshape(one, [-1, width]) for one in (states.scores, states.source))
        flat, gate = tf.reshape(logits, [-1, logits.shape[-1]]), tf.reshape(states.gate, [-1])
        total = tf.reduce_logsumexp(flat, axis=-1, keepdims=True)
        return tf.reshape(mixed(flat, total, gate, scores, source), tf.shape(logits))

    def prompts(self, pairs: Sequence[tuple[Any, Any]], room: int) -> tuple[tuple[Any, Any], Any]:
        """See `LanguageModel`."""
        config = self.config
        source = padded([[*left, config.eos_id] for left, _ in pairs], config.padding)
        ids = padded([[config.start]] * len(pairs), config.padding, 1 + min(room, config.max_length - 1))
        return (source, ids), np.zeros(len(pairs), np.int32)

    def continuation(self, source: Any) -> Callable[[Any], Any]:
        """See `LanguageModel`."""
        memory = self.encode(source)
        return lambda ids: self.decode(memory, source, ids)
