"""A sample of the validation pairs, decoded after every epoch: what the loss does not say."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.components.train.batches import Pair
from seqline.components.train.pieces import Pieces
from seqline.modeling.language_model import LanguageModel

SLACK = 8


class Sample:
    """Sentences to decode greedily, and their references.

    All previous positions are computed again at every step: no cache, so that any architecture is decoded by the
    code that is trained. Serving has a search of its own, in `seqline.components.export`.

    Args:
        pairs: Validation pairs, of which the sample is drawn.
        model: The model that decodes.
        pieces: The tokenizer.
        size: Sentences in the sample, at most.
        seed: Decides which.
    """

    def __init__(self, pairs: list[Pair], model: LanguageModel, pieces: Pieces, size: int, seed: int = 1) -> None:
        self.model, self.pieces = model, pieces
        chosen = np.random.default_rng(seed).permutation(len(pairs))[:size]
        self.pairs = [pairs[index] for index in chosen]
        self.references = pieces.texts([right.tolist() for _, right in self.pairs])
        # Longer than the longest reference is wrong anyway.
        limit = max(len(right) for _, right in self.pairs) + SLACK
        self.prompts, self.starts = model.prompts(self.pairs, limit)
        self._decode = tf.function(greedy)

    def decode(self) -> list[str]:
        """The model's outputs for the sample."""
        found = self._decode(self.model, *(tf.constant(part) for part in self.prompts), tf.constant(self.starts))
        eos = self.model.config.eos_id
        rows = [row[start + 1 :].tolist() for row, start in zip(found.numpy(), self.starts, strict=True)]
        return self.pieces.texts([row[: row.index(eos)] if eos in row else row for row in rows])

    def measure(self) -> dict[str, float]:
        """Decodes, and compares with the references.

        Returns:
            `valid_bleu` and `valid_rougeL`, 0 to 100.
        """
        return measure(self.decode(), self.references)


def measure(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """BLEU as sacreBLEU has it, and the mean F1 of ROUGE-L over words apart at spaces, in any script.

    Args:
        outputs: What was decoded.
        references: What was expected.

    Returns:
        `valid_bleu` and `valid_rougeL`, 0 to 100.
    """
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    class Words:
        def tokenize(self, text: str) -> list[str]:
            return text.lower().split()

    scorer = RougeScorer(["rougeL"], tokenizer=Words())
    rouge = [
        scorer.score(reference, output)["rougeL"].fmeasure
        for output, reference in zip(outputs, references, strict=True)
    ]
    return {
        "valid_bleu": float(sacrebleu.corpus_bleu(list(outputs), [list(references)]).score),
        "valid_rougeL": 100 * float(np.mean(rouge)),
    }


def greedy(model: LanguageModel, source: Any, ids: Any, starts: Any) -> Any:
    """Continues each row after its start with the most probable piece, until `eos` or the row's end.

    Args:
        model: The model.
        source: int32 `[rows, source length]`.
        ids: int32 `[rows, length]`, with `bos` at the start and padding behind it.
        starts: int32 `[rows]`.

    Returns:
        The ids, filled.
    """
    config = model.config
    rows, length = tf.shape(ids)[0], tf.shape(ids)[1]
    states_of = model.continuation(source)

    def step(number: Any, ids: Any, done: Any) -> tuple[Any, Any, Any]:
        places = starts + number
        states = tf.gather(states_of(ids), places, batch_dims=1)
        found = tf.argmax(model.logits(states), axis=-1, output_type=tf.int32)
        found = tf.where(done, config.pad_id, found)
        ids = tf.tensor_scatter_nd_update(ids, tf.stack([tf.range(rows), places + 1], axis=1), found)
        return number + 1, ids, done | tf.equal(found, config.eos_id)

    most = length - 1 - tf.reduce_max(starts)
    _, ids, _ = tf.while_loop(
        lambda number, _, done: (number < most) & ~tf.reduce_all(done), step, (0, ids, tf.zeros([rows], tf.bool))
    )
    return ids
