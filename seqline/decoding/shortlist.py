"""The shortlist: the part of the vocabulary that the output of a source is searched in.

The output layer's product is most of a step of a small model. A source's words have few translations, so the search
looks only at frequent tokens and at those that training pairs link to the source's tokens (Jean et al. 2015, section
3.2; Junczys-Dowmunt et al. 2018, "Marian: Cost-effective High-Quality Neural Machine Translation in C++").
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from seqline.decoding.lexicon import Lexicon
from seqline.decoding.output import BLOCK, MISSING
from seqline.decoding.weights import Weight


class Listed(NamedTuple):
    """The shortlist of a batch.

    Attributes:
        ids: int32 `[listed]`: the tokens of all its sources; at the end 0 as often as the length needs.
        kernel: Of the output layer, `[width, listed]`.
        scales: Of a kernel that is stored as int8 and multiplied in bfloat16, `[listed]`; otherwise none.
        added: float32 `[sentences, listed]`: the bias, or `MISSING` if the token is not in the sentence's own
            shortlist. So an output does not depend on the batch of its text.
    """

    ids: Any
    kernel: Any
    scales: Any
    added: Any

    def logits(self, rows: Any) -> Any:
        """`[sentences * hypotheses, width]` to `[sentences * hypotheses, listed]`."""
        product = tf.cast(tf.matmul(tf.cast(rows, self.kernel.dtype), self.kernel), tf.float32)
        if self.scales is not None:
            product *= self.scales
        shape, (sentences, listed) = tf.shape(product), tf.unstack(tf.shape(self.added))
        hypotheses = shape[0] // tf.maximum(sentences, 1)
        product = tf.reshape(product, tf.stack([sentences, hypotheses, listed]))
        return tf.reshape(product + self.added[:, None], shape)


class Shortlist(tf.Module):
    """The output layer's weights by token.

    Args:
        kernel: float32 `[width, vocabulary]`.
        bias: float32 `[vocabulary]`.
        lexicon: Tokens that outputs have.
        kind: Storage type of the kernel.
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray, lexicon: Lexicon, kind: str) -> None:
        super().__init__()
        self.rows = Weight(np.ascontiguousarray(kernel.T), kind, scaled=0)
        self.bias = tf.Variable(bias, trainable=False)
        always = np.zeros(len(bias), bool)
        always[lexicon.frequent] = True
        self.always = tf.Variable(always, trainable=False)
        self.linked = tf.Variable(lexicon.linked, trainable=False)

    def of(self, source: Any) -> Listed:
        """Collects the tokens of a batch.

        Args:
            source: int32 `[sentences, source length]`; the linked tokens of padding are none.
        """
        size, sentences = self.bias.shape[0], tf.shape(source)[0]
        links = tf.reshape(tf.gather(self.linked, source), [-1])
        linked = tf.scatter_nd(links[:, None], tf.ones_like(links), [size + 1])[:size] > 0
        ids = tf.cast(tf.where(linked | self.always)[:, 0], tf.int32)
        count = tf.shape(ids)[0]
        width = count + -count % BLOCK
        # The column of each token; that of an unused place is behind the last.
        columns = tf.tensor_scatter_nd_update(tf.fill([size + 1], width), ids[:, None], tf.range(count))
        rows = tf.repeat(tf.range(sentences), tf.size(links) // tf.maximum(sentences, 1))
        places = tf.stack([rows, tf.gather(columns, links)], axis=1)
        own = tf.scatter_nd(places, tf.ones_like(links), tf.stack([sentences, width + 1]))[:, :width] > 0
        ids = tf.pad(ids, [[0, width - count]])
        always = tf.gather(self.always, ids) & (tf.range(width) < count)
        added = tf.where(own | always, tf.gather(self.bias, ids), MISSING)
        kernel, scales = self.rows.chosen(ids)
        return Listed(ids, tf.transpose(kernel), scales, added)
