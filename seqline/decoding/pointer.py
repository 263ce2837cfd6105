"""The inference form of the trained pointer; see `seqline.modeling.pointer`."""

from typing import Any

import numpy as np
import tensorflow as tf

from seqline.decoding.layers import MASKED, Linear, Normalization
from seqline.modeling.config import TransformerConfig
from seqline.modeling.pointer import copyable, mixed


class Pointer(tf.Module):
    """The pointer, whose keys are stored behind those of the decoder's layers.

    Args:
        config: The model's configuration.
        layer: The trained `Pointer`.
        norm: The decoder's last normalization.
        kind: Storage type of the weights.
    """

    def __init__(self, config: TransformerConfig, layer: Any, norm: Normalization, kind: str) -> None:
        super().__init__()
        self.config, self.heads, self.head_size = config, config.kv_heads, config.head_size
        gate, bias = np.array(layer.gate.kernel), np.array(layer.gate.bias)
        kernel = np.concatenate([np.array(layer.queries.kernel) * layer.size**-0.5, gate[: config.hidden_dim]], axis=1)
        self.project = Linear(*norm.into(kernel, np.pad(bias, (layer.size, 0))), kind)
        self.gate_context = Linear(gate[config.hidden_dim :], np.zeros(1, np.float32), kind)

    def tokens(self, source: Any) -> Any:
        """The tokens that may be copied, and padding in place of the others.

        Args:
            source: int32 `[sentences, source length]`, padded.
        """
        return tf.where(copyable(self.config, source), source, self.config.padding)

    def point(self, rows: Any, memory: Any, length: Any) -> tuple[Any, Any]:
        """Points from each row to the source.

        Args:
            rows: The output layer's inputs, `[sentences * length, width]`: positions or hypotheses.
            memory: The result of `Decoder.encode`.
            length: Number of positions or hypotheses.

        Returns:
            The logit of the probability that the row's token is generated, `[sentences, length]`, and the log
            probability of each position of the source, if it is copied, `[sentences, length, source length]`.
        """
        sentences = tf.shape(memory.source)[0]
        projected = self.project(rows)
        width = self.heads * self.head_size
        queries = tf.reshape(projected[:, :width], tf.stack([sentences, length, self.heads, self.head_size]))
        keys = memory.cross[-1]
        # The product of whole rows is the sum of those of their parts.
        scores = tf.matmul(tf.transpose(queries, (0, 2, 1, 3)), keys, transpose_b=True)
        bias = tf.where(tf.equal(memory.source, self.config.padding), MASKED, 0.0)[:, None]
        scores = tf.nn.log_softmax(tf.reduce_sum(scores, axis=1) + bias)
        context = tf.transpose(tf.matmul(tf.exp(scores)[:, None], keys), (0, 2, 1, 3))
        gate = projected[:, width:] + self.gate_context(tf.reshape(context, (-1, width)))
        return tf.reshape(gate, tf.shape(scores)[:2]), scores

    def mixed(self, logits: Any, total: Any, rows: Any, memory: Any, length: Any) -> Any:
        """The log probabilities of all tokens, generated or copied.

        Args:
            logits: Of the output layer, `[sentences * length, vocabulary]`.
            total: See `Output.log_total`.
            rows: See `point`.
            memory: See `point`.
            length: See `point`.
        """
        gate, scores = self.point(rows, memory, length)
        source = tf.broadcast_to(memory.source[:, None], tf.shape(scores))
        scores, source = (tf.reshape(one, (-1, tf.shape(one)[2])) for one in (scores, source))
        return mixed(logits, total, tf.reshape(gate, (-1,)), scores, source)

    def of_target(self, rows: Any, memory: Any, target: Any) -> tuple[Any, Any]:
        """The log probabilities that a token is generated, and that it is copied and is the target's.

        Args:
            rows: See `point`.
            memory: See `point`.
            target: int32 `[sentences, length]`.

        Returns:
            Two float32 `[sentences * length]`.
        """
        gate, scores = self.point(rows, memory, tf.shape(target)[1])
        same = tf.equal(memory.source[:, None], target[:, :, None])
        copied = tf.reduce_logsumexp(tf.where(same, scores, MASKED), axis=-1) + tf.math.log_sigmoid(-gate)
        return tf.reshape(tf.math.log_sigmoid(gate), (-1,)), tf.reshape(copied, (-1,))
