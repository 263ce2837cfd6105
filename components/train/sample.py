"""A sample of the validation pairs, decoded after every epoch to measure BLEU and ROUGE-L."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.components.train.detokenizer import Detokenizer
from seqline.components.train.options import DECODED
from seqline.components.train.records import Pair
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import METRICS
from seqline.modeling.language_model import LanguageModel

SLACK = 8


class Sample:
    """Sentences to decode greedily, and their references.

    There is no cache: every step computes all previous positions again, with the code that trains, so that it works
    for any architecture. Serving has its own search, in `seqline.decoding`.

    Args:
        pairs: Validation pairs to draw the sample from.
        model: The model that decodes.
        detokenizer: Turns tokens into text.
        language: Code of the target language.
        size: Sentences in the sample, at most.
        seed: Seed of the choice.
    """

    def __init__(
        self,
        pairs: list[Pair],
        model: LanguageModel,
        detokenizer: Detokenizer,
        language: str,
        size: int,
        seed: int = 1,
    ) -> None:
        self.model, self.detokenizer, self.language = model, detokenizer, language
        chosen = np.random.default_rng(seed).permutation(len(pairs))[:size]
        self.pairs = [pairs[index] for index in chosen]
        self.references = detokenizer.texts([right.tolist() for _, right in self.pairs])
        # Longer than the longest reference is wrong anyway.
        limit = max(len(right) for _, right in self.pairs) + SLACK
        self.prompts, self.starts = model.prompts(self.pairs, limit)
        self._decode = tf.function(greedy)

    def decode(self) -> list[str]:
        """Returns the model's outputs for the sample."""
        found = self._decode(self.model, *(tf.constant(part) for part in self.prompts), tf.constant(self.starts))
        eos = self.model.config.eos_id
        rows = [row[start + 1 :].tolist() for row, start in zip(found.numpy(), self.starts, strict=True)]
        return self.detokenizer.texts([row[: row.index(eos)] if eos in row else row for row in rows])

    def measure(self) -> dict[str, float]:
        """Decodes the sample and compares it with the references.

        Returns:
            `valid_bleu` and `valid_rougeL`, 0 to 100.
        """
        return measure(self.decode(), self.references, self.language)


def measure(outputs: Sequence[str], references: Sequence[str], language: str) -> dict[str, float]:
    """Computes BLEU and ROUGE-L as the evaluation does.

    Args:
        outputs: Decoded texts.
        references: Expected texts.
        language: Code of the target language, which decides the tokenizers.

    Returns:
        `valid_bleu` and `valid_rougeL`, 0 to 100.
    """
    batch = Batch(list(references), list(references), list(outputs))
    found = {}
    for name in DECODED:
        counter = METRICS[name].counts(language)
        sums = counter.count(batch).sum(axis=0, keepdims=True, dtype=np.float64)
        found[f"valid_{name}"] = float(counter.score(sums)[0])
    return found


def greedy(model: LanguageModel, source: Any, ids: Any, starts: Any) -> Any:
    """Continues each row after its start with the most probable token, until `eos` or the row's end.

    Args:
        model: The model.
        source: int32 `[rows, source length]`.
        ids: int32 `[rows, length]`, the prompt or `bos` up to the start and padding after it.
        starts: int32 `[rows]`.

    Returns:
        The ids with the output filled in.
    """
    config = model.config
    rows, length = tf.shape(ids)[0], tf.shape(ids)[1]
    states_of = model.continuation(source)
    suppressed = np.zeros(config.vocabulary_size, np.float32)
    suppressed[list(config.suppressed_ids)] = -np.inf

    def step(number: Any, ids: Any, done: Any) -> tuple[Any, Any, Any]:
        positions = starts + number
        states = tf.gather(states_of(ids), positions, batch_dims=1)
        found = tf.argmax(model.logits(states) + suppressed, axis=-1, output_type=tf.int32)
        found = tf.where(done, config.filler, found)
        ids = tf.tensor_scatter_nd_update(ids, tf.stack([tf.range(rows), positions + 1], axis=1), found)
        return number + 1, ids, done | tf.equal(found, config.eos_id)

    steps = length - 1 - tf.reduce_max(starts)
    _, ids, _ = tf.while_loop(
        lambda number, _, done: (number < steps) & ~tf.reduce_all(done), step, (0, ids, tf.zeros([rows], tf.bool))
    )
    return ids
