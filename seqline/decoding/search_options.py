"""How to search, as values or as a graph's inputs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from seqline.artifacts.exported_model import Decoding


class Search(NamedTuple):
    """How to search.

    Each is a plain value, and then the graph is made for it; or a scalar tensor, and then the graph takes any.

    Attributes:
        beam_size: Hypotheses kept; 1 is greedy. Sampling has none.
        n_best: Results of each sentence; at most `beam_size`, unless sampling.
        min_output_length: Pieces before the end of sentence, at least.
        max_output_length: Pieces, the end of sentence included, at most.
        length_penalty: Exponent of the length by which a score is divided; 0 for none.
        repetition_penalty: What a positive logit of a piece that the output has already is divided by, and a negative
            one multiplied with (Keskar et al. 2019); 1 for none.
        no_repeat_ngram_size: No so many pieces come twice in a row; 0 for no such rule.
        sampling: Whether pieces are drawn; the most probable are searched for otherwise.
        temperature: Of sampling: what logits are divided by.
        top_k: Of sampling: only so many of the most probable pieces are drawn; 0 for all.
        top_p: Of sampling: only the most probable pieces are drawn that together have so much probability (Holtzman et
            al. 2020); 1 for all.
        seed: Of sampling: the same text and seed, the same output, in whatever batch.
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
        """What the exported model does where nobody asks for something else.

        Args:
            decoding: Its options.
        """
        return cls(
            beam_size=decoding.beam_size,
            max_output_length=decoding.max_output_length,
            length_penalty=decoding.length_penalty,
            early_stop=decoding.early_stop,
        )


def either(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """Does one or the other; decided now, if the condition is known.

    Args:
        condition: A value or a scalar boolean tensor.
        yes: What to do if it holds.
        no: What to do otherwise; gives the same types.
    """
    return tf.cond(condition, yes, no) if tf.is_tensor(condition) else (yes() if condition else no())


def lesser(one: Any, other: Any) -> Any:
    """The lesser of two numbers; a plain one if both are.

    Args:
        one: A value or a scalar tensor.
        other: The other.
    """
    return tf.minimum(one, other) if tf.is_tensor(one) or tf.is_tensor(other) else min(one, other)


def static(value: Any) -> int | None:
    """The value as a static dimension; None if it is an input."""
    return None if tf.is_tensor(value) else int(value)
