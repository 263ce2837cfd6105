"""Validation pairs that are decoded after an epoch, to measure the metrics of the evaluation on texts."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.batch_threads import batch_threads
from seqline.components.train.detokenizer import Detokenizer
from seqline.components.train.flops import training_flops
from seqline.components.train.pairs import Pair
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import METRICS
from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import LanguageModel

SLACK = 8
ROWS = 64
"""Pairs that are decoded at the same time."""
COST_SHARE = 0.2
"""The largest share of an epoch's computation that decoding all pairs of a `Sample` takes."""
ANSWERS = ("exact_match", "token_f1")
IDS = tf.TensorSpec((None, None), tf.int32)


@dataclass(frozen=True)
class Group:
    """Pairs that are decoded together.

    Attributes:
        source: Their sources, int32 `[pairs, source length]`.
        ids: The rows to continue, int32 `[pairs, length]`.
        starts: The index of `bos` in each row.
        references: The expected texts.
    """

    source: np.ndarray
    ids: np.ndarray
    starts: np.ndarray
    references: list[str]


class Sample:
    """Validation pairs to decode greedily: a few after every epoch, and more of them if it may be the best one.

    There is no cache: every step computes all previous positions again, with the code that trains, so that it works
    for any architecture. Serving has its own search, in `seqline.decoding`.

    Args:
        pairs: Validation pairs to draw from.
        model: The model that decodes.
        detokenizer: Turns tokens into text.
        language: Code of the target language.
        names: The metrics, from `names_of`.
        size: Pairs decoded after every epoch, at most.
        epoch_flops: Computation of an epoch of training; `COST_SHARE` of it bounds the pairs that are decoded in all.
        seed: Seed of the choice.
        at_once: Groups that are decoded at the same time.
    """

    def __init__(
        self,
        pairs: list[Pair],
        model: LanguageModel,
        detokenizer: Detokenizer,
        language: str,
        names: Sequence[str],
        size: int,
        epoch_flops: float = 0.0,
        seed: int = 1,
        at_once: int = 1,
    ) -> None:
        self.at_once = at_once
        self.model, self.detokenizer, self.language, self.names = model, detokenizer, language, names
        order = np.random.default_rng(seed).permutation(len(pairs))
        chosen = [pairs[index] for index in order]
        spent = np.cumsum([decoding_flops(model.config, *map(len, pair)) for pair in chosen])
        affordable = int(np.searchsorted(spent, COST_SHARE * epoch_flops, "right"))
        self.first, self.rest = self._groups(chosen[:size]), self._groups(chosen[size:affordable])
        self._outputs: list[str] = []

        def decode(source: Any, ids: Any, starts: Any) -> Any:
            return greedy(model, source, ids, starts)

        # One trace for all lengths.
        self._greedy = tf.function(decode, input_signature=[IDS, IDS, tf.TensorSpec((None,), tf.int32)])

    @property
    def count(self) -> int:
        """Pairs that `measure_all` compares."""
        return sum(len(group.references) for group in (*self.first, *self.rest))

    @property
    def has_more(self) -> bool:
        """Whether `measure_all` compares more pairs than `measure`."""
        return bool(self.rest)

    def measure(self) -> dict[str, float]:
        """Decodes the first pairs and compares them with the references.

        Returns:
            Each metric as `valid_<name>`, 0 to 100.
        """
        self._outputs = self._decode(self.first)
        return self._measured(self._outputs, self.first)

    def measure_all(self) -> dict[str, float]:
        """Decodes the other pairs too; must follow `measure` with the same weights.

        Returns:
            Each metric of all pairs as `valid_<name>_all`, 0 to 100.
        """
        measured = self._measured([*self._outputs, *self._decode(self.rest)], [*self.first, *self.rest])
        return {f"{name}_all": value for name, value in measured.items()}

    def _groups(self, pairs: list[Pair]) -> list[Group]:
        # Pairs of about the same length end at about the same step.
        pairs = sorted(pairs, key=lambda pair: len(pair[1]))
        groups = []
        size = ROWS // self.at_once
        for start in range(0, len(pairs), size):
            part = pairs[start : start + size]
            # Longer than the longest reference is wrong anyway.
            (source, ids), starts = self.model.prompts(part, max(len(right) for _, right in part) + SLACK)
            references = self.detokenizer.texts([right.tolist() for _, right in part])
            groups.append(Group(source, ids, starts, references))
        return groups

    def _decode(self, groups: list[Group]) -> list[str]:
        eos, rows = self.model.config.eos_id, []

        def decode(group: Group) -> np.ndarray:
            return self._greedy(*(tf.constant(part) for part in (group.source, group.ids, group.starts))).numpy()

        with ExitStack() as stack:
            # A strategy of several devices is that of this thread only.
            each = map if self.at_once == 1 else stack.enter_context(batch_threads(self.at_once)).map
            outputs = list(each(decode, groups))
        for group, found in zip(groups, outputs, strict=True):
            rows += [row[start + 1 :].tolist() for row, start in zip(found, group.starts, strict=True)]
        return self.detokenizer.texts([row[: row.index(eos)] if eos in row else row for row in rows])

    def _measured(self, outputs: Sequence[str], groups: list[Group]) -> dict[str, float]:
        references = [reference for group in groups for reference in group.references]
        return measure(outputs, references, self.language, self.names)


def names_of(task: str, monitor: str) -> tuple[str, ...]:
    """The metrics that are measured on decoded texts.

    Args:
        task: The corpus's task.
        monitor: The monitored metric.
    """
    return ("bleu", "rougeL", *(ANSWERS if task == "question_answering" or monitor in ANSWERS else ()))


def decoding_flops(config: TransformerConfig, source: int, target: int) -> float:
    """The floating-point operations to decode a pair without a cache.

    Args:
        config: The model's configuration.
        source: Source tokens.
        target: Target tokens.
    """
    length = target + SLACK
    logits = config.hidden_dim * config.vocabulary_size
    # The forward pass is a third of training; logits are computed for one position a step.
    each = training_flops(config, source + 1, length, 1) / 3 - 2 * logits * (length - 1)
    return (target + 1) * each


def measure(
    outputs: Sequence[str], references: Sequence[str], language: str, names: Sequence[str] = ("bleu", "rougeL")
) -> dict[str, float]:
    """Computes metrics as the evaluation does.

    Args:
        outputs: Decoded texts.
        references: Expected texts.
        language: Code of the target language, which decides the tokenizers.
        names: The metrics.

    Returns:
        Each metric as `valid_<name>`, 0 to 100.
    """
    batch = Batch(list(references), list(references), list(outputs))
    found = {}
    for name in names:
        counter = METRICS[name].counts(language)
        sums = counter.count(batch).sum(axis=0, keepdims=True, dtype=np.float64)
        found[f"valid_{name}"] = float(counter.score(sums)[0])
    return found


def greedy(model: LanguageModel, source: Any, ids: Any, starts: Any) -> Any:
    """Continues each row after its start with the most probable token, until `eos` or the row's end.

    No output has padding, an unknown token or `bos`.

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
        states = tf.nest.map_structure(lambda one: tf.gather(one, positions, batch_dims=1), states_of(ids))
        found = tf.argmax(model.logits(states) + suppressed, axis=-1, output_type=tf.int32)
        for end in config.other_eos_ids:
            found = tf.where(tf.equal(found, end), config.eos_id, found)
        found = tf.where(done, config.filler, found)
        ids = tf.tensor_scatter_nd_update(ids, tf.stack([tf.range(rows), positions + 1], axis=1), found)
        return number + 1, ids, done | tf.equal(found, config.eos_id)

    steps = length - 1 - tf.reduce_max(starts)
    _, ids, _ = tf.while_loop(
        lambda number, _, done: (number < steps) & ~tf.reduce_all(done), step, (0, ids, tf.zeros([rows], tf.bool))
    )
    return ids
