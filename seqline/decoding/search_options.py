"""Search options, as plain values or as inputs of a graph."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from seqline.artifacts.exported_model import Decoding


class Search(NamedTuple):
    """Search options.

    Each is a plain value, which is built into the graph, or a scalar tensor, which is an input of the graph.

    Attributes:
        beam_size: Hypotheses of the beam search; 1 is greedy. Ignored by sampling.
        n_best: Results of each sentence; at most `beam_size`, unless sampling.
        min_output_length: Smallest number of tokens before the end of sentence.
        max_output_length: Largest number of tokens, end of sentence included.
        length_penalty: Exponent of the length by which a score is divided; 0 for none.
        repetition_penalty: Divides positive logits of tokens that the output already has, and multiplies negative ones
            (Keskar et al. 2019); 1 for none.
        no_repeat_ngram_size: N-grams of this size never occur twice; 0 to disable.
        sampling: Whether to sample tokens instead of searching for the most probable output.
        temperature: Of sampling: logits are divided by it.
        top_k: Of sampling: only the k most probable tokens; 0 for all.
        top_p: Of sampling: only the most probable tokens that together have this probability (Holtzman et al. 2020);
            1 for all.
        seed: Of sampling: the same text and seed give the same output in any batch.
        early_stop: See `Decoding`; always a plain value.
    """

    beam_size: Any = 4
    n_best: Any = 1
    min_output_length: Any = 0
    max_output_length: Any = 128
    length_penalty: Any = 0.6
    repetition_penalty: Any = 1.0
    no_repeat_ngram_size: Any = 0
    sampling: Any = False
    temperature: Any = 1.0
    top_k: Any = 0
    top_p: Any = 1.0
    seed: Any = 0
    early_stop: bool = True

    @classmethod
    def of(cls, decoding: Decoding) -> "Search":
        """The search options of an exported model's defaults.

        Args:
            decoding: Its decoding options.
        """
        return cls(
            beam_size=decoding.beam_size,
            max_output_length=decoding.max_output_length,
            length_penalty=decoding.length_penalty,
            early_stop=decoding.early_stop,
        )


def either(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """Like `tf.cond`, but decided while tracing if the condition is a plain value.

    Args:
        condition: A value or a scalar boolean tensor.
        yes: Called if it is true.
        no: Called otherwise; returns the same types.
    """
    return tf.cond(condition, yes, no) if tf.is_tensor(condition) else (yes() if condition else no())


def lesser(one: Any, other: Any) -> Any:
    """The lesser of two numbers; a plain value if both are.

    Args:
        one: A value or a scalar tensor.
        other: The other.
    """
    return tf.minimum(one, other) if tf.is_tensor(one) or tf.is_tensor(other) else min(one, other)


def static(value: Any) -> int | None:
    """The value as a static dimension; None if it is an input of the graph."""
    return None if tf.is_tensor(value) else int(value)
