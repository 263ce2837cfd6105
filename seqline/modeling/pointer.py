"""The pointer of a pointer-generator, which copies tokens of the source (See et al. 2017).

The next token is generated with a probability, the gate's, and else copied from a position of the source:
p(token) = gate * softmax(logits)[token] + (1 - gate) * (sum of the weights of the positions that have the token).
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seqline.modeling.config import TransformerConfig

MASKED = -1e9


class Pointed(NamedTuple):
    """What the probabilities of the next token come from: hidden states, and what the pointer makes of them.

    Attributes:
        states: Hidden states, `[..., hidden_dim]`.
        gate: Logit of the probability that the token is generated, float32 `[...]`.
        scores: Log probability of each position of the source, if the token is copied, float32 `[..., source length]`.
        source: The tokens at these positions, int32 `[..., source length]`.
    """

    states: Any
    gate: Any
    scores: Any
    source: Any

    def odds(self, labels: Any) -> Any:
        """Compares copying a token with generating any, as logits.

        Args:
            labels: int32 `[...]`.

        Returns:
            log(p(the label is copied) / p(a token is generated)), float32 `[...]`; very negative for a label that the
            source does not have.
        """
        same = tf.equal(self.source, labels[..., None])
        return tf.reduce_logsumexp(tf.where(same, self.scores, MASKED), axis=-1) - self.gate


class Pointer(keras.layers.Layer):
    """Chooses the position of the source to copy, and whether to copy.

    It has one attention of its own: the heads of the decoder's layers mix what later layers need, and their average
    would have to be a distribution of the next token too. The last states have what the decoder attended to and the
    token before, so the gate needs no more than them and the pointer's context.

    Args:
        config: The model's configuration.
    """

    def __init__(self, config: TransformerConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        # As wide as a layer's keys, with which decoding stores these.
        self.size = config.kv_heads * config.head_size
        self.queries = keras.layers.Dense(self.size, use_bias=False, name="queries")
        self.keys = keras.layers.Dense(self.size, use_bias=False, name="keys")
        self.gate = keras.layers.Dense(1, dtype="float32", name="gate")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights.

        Args:
            input_shape: `[batch, length, hidden_dim]`.
        """
        dim = self.config.hidden_dim
        self.queries.build((None, None, dim))
        self.keys.build((None, None, dim))
        self.gate.build((None, None, dim + self.size))
        self.built = True

    def call(self, states: Any, memory: Any, source: Any) -> Pointed:
        """Points from each state to the source.

        Args:
            states: The decoder's last states, `[batch, target length, hidden_dim]`.
            memory: The encoder's output, `[batch, source length, hidden_dim]`.
            source: int32 `[batch, source length]`, padded.
        """
        # Rounded to bfloat16, a probability is off by up to 6%.
        queries, keys = (tf.cast(one, tf.float32) for one in (self.queries(states), self.keys(memory)))
        logits = tf.matmul(queries * self.size**-0.5, keys, transpose_b=True)
        logits += tf.where(copyable(self.config, source), 0.0, MASKED)[:, None]
        scores = tf.nn.log_softmax(logits)
        context = tf.matmul(tf.exp(scores), keys)
        gate = self.gate(tf.concat([tf.cast(states, tf.float32), context], axis=-1))[..., 0]
        return Pointed(states, gate, scores, tf.broadcast_to(source[:, None], tf.shape(scores)))


def copyable(config: TransformerConfig, source: Any) -> Any:
    """Where the source has tokens that may be copied: no padding, and none that is never generated.

    Args:
        config: The model's configuration.
        source: int32 `[batch, source length]`.
    """
    found = tf.not_equal(source, config.padding)
    for token in config.suppressed_ids:
        found &= tf.not_equal(source, token)
    return found


def mixed(logits: Any, total: Any, gate: Any, scores: Any, source: Any) -> Any:
    """Mixes the probabilities of generated and of copied tokens.

    Args:
        logits: Of the output layer, float32 `[rows, vocabulary]`.
        total: The logarithm of the sum of their exponentials, `[rows, 1]`.
        gate: See `Pointed`, `[rows]`.
        scores: `[rows, source length]`.
        source: `[rows, source length]`.

    Returns:
        Log probabilities, float32 `[rows, vocabulary]`.
    """
    generated = logits + (tf.math.log_sigmoid(gate)[:, None] - total)
    rows = tf.broadcast_to(tf.range(tf.shape(source)[0])[:, None], tf.shape(source))
    indices = tf.stack([rows, source], axis=-1)
    # All positions of a token get the same sum, so only the few tokens of the source cost a logarithm.
    sums = tf.gather(tf.scatter_nd(indices, tf.exp(scores), tf.shape(logits)), source, batch_dims=1)
    copied = tf.math.log_sigmoid(-gate)[:, None] + tf.math.log(sums)
    few = tf.gather(generated, source, batch_dims=1)
    return tf.tensor_scatter_nd_update(generated, indices, few + tf.math.softplus(copied - few))
