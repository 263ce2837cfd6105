"""Search and sampling with caches, in a TensorFlow graph."""

from typing import Any

import tensorflow as tf

from seqline.decoding.beam import beam_search
from seqline.decoding.decoder import Decoder
from seqline.decoding.greedy import greedy_search
from seqline.decoding.live import Found
from seqline.decoding.search_options import Search
from seqline.decoding.shortlist import Shortlist


def search(model: Decoder, source: tf.Tensor, options: Search, shortlist: Shortlist | None = None) -> Found:
    """Finds the most probable outputs of each source, or samples some.

    A hypothesis ends with `eos`, which counts for its length, or at `max_output_length`. Scores use the model's logits
    after the repetition penalty; forbidden tokens and tokens excluded from sampling do not change them.

    Args:
        model: The decoder.
        source: int32 `[sentences, source length]`, padded; see `separated`.
        options: Search options; with a shortlist, only `beam_size`, `n_best` and those of lengths but
            `min_output_length`.
        shortlist: Selects the tokens to search in, and whose probabilities the scores are; None for all.
    """
    greedy = _known(options.beam_size, 1) and _known(options.n_best, 1) and options.sampling is False
    found: Found = (greedy_search if greedy else beam_search)(model, source, options, shortlist)
    return found


def _known(value: Any, number: int) -> bool:
    """Whether an option has this value, and is not an input of the graph."""
    return not tf.is_tensor(value) and value == number
