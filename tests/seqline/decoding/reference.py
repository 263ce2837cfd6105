"""Search and sampling written from their definitions, in numpy and with no code of Seqline.

Beam search keeps the most probable hypotheses of each length (Graves 2012, Sutskever et al. 2014), and divides the
score of an ended one by length ** length_penalty (Wu et al. 2016, without their constants). The repetition penalty is
that of Keskar et al. 2019, top_p that of Holtzman et al. 2020, and sampling adds Gumbel noise to the logits (Gumbel
1954).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

NextLogits = Callable[[np.ndarray], np.ndarray]
"""From prefixes `[hypotheses, length]`, starting with bos, to the next token's logits `[hypotheses, vocabulary]`."""
Result = tuple[tuple[int, ...], float]
"""Tokens without bos and eos, and the score."""


def model_logits(model: Any) -> Callable[[list[int]], NextLogits]:
    """From a source's tokens, ending in eos, to the trained model's next logits.

    The whole sequence is computed again for every token.

    Args:
        model: The Keras model.
    """
    gpt = model.config.architecture == "gpt"
    spec = tf.TensorSpec((None, None), tf.int32)
    last = tf.function(lambda inputs: model(inputs)[:, -1], input_signature=[(spec,) * (3 if gpt else 2)])

    def of_source(source: list[int]) -> NextLogits:
        def next_logits(prefixes: np.ndarray) -> np.ndarray:
            sources = np.tile(np.array(source, np.int32), (len(prefixes), 1))
            if not gpt:
                return last((sources, prefixes)).numpy()
            whole = np.hstack([sources, prefixes])
            positions = np.tile(np.arange(whole.shape[1], dtype=np.int32), (len(whole), 1))
            return last((whole, np.ones_like(whole), positions)).numpy()

        return next_logits

    return of_source


def beam_search(
    next_logits: NextLogits, options: Any, bos: int, eos: int, suppressed: Sequence[int] = ()
) -> list[Result]:
    """The best outputs of one sentence, best first.

    Args:
        next_logits: See `NextLogits`.
        options: Has the search options as attributes.
        bos: Token that starts an output.
        eos: Token that ends it.
        suppressed: Tokens that are never chosen, but have their share of the probability.
    """
    size, results = options.beam_size, options.n_best
    live: list[Result] = [((), 0.0)]
    ended: list[Result] = []
    for length in range(1, options.max_output_length + 1):
        table = np.stack(
            [
                total + _log_probabilities(logits, tokens, options, eos)
                for (tokens, total), logits in zip(live, _rows(next_logits, live, bos), strict=True)
            ]
        )
        table[:, list(suppressed)] = -np.inf
        # An ended hypothesis uses up no place in the beam, so twice as many candidates are looked at; but one ends only
        # if it is among the best of the beam's size.
        best = np.argsort(-table, axis=None, kind="stable")[: 2 * size if size > 1 else 1]
        found = [
            ((*live[row][0], int(token)), float(table[row, token]))
            for row, token in zip(*np.unravel_index(best, table.shape), strict=True)
            if np.isfinite(table[row, token])
        ]
        ending = [(tokens[:-1], total) for tokens, total in found[:size] if tokens[-1] == eos]
        ended += [(tokens, total / length**options.length_penalty) for tokens, total in ending]
        ended = sorted(ended, key=lambda result: result[1], reverse=True)[:results]
        live = [(tokens, total) for tokens, total in found if tokens[-1] != eos][:size]
        reached = length if options.early_stop else options.max_output_length
        if not live or (len(ended) == results and ended[-1][1] >= live[0][1] / reached**options.length_penalty):
            return ended
    cut = [(tokens, total / options.max_output_length**options.length_penalty) for tokens, total in live]
    return [*ended, *cut][:results]


def sample(next_logits: NextLogits, options: Any, bos: int, eos: int) -> list[Result]:
    """Sampled outputs of one sentence, the most probable first.

    Args:
        next_logits: See `NextLogits`.
        options: Has the search options as attributes.
        bos: Token that starts an output.
        eos: Token that ends it.
    """
    live: list[Result] = [((), 0.0)] * options.n_best
    ended: list[Result] = []
    for length in range(1, options.max_output_length + 1):
        drawn = []
        for row, ((tokens, total), logits) in enumerate(zip(live, _rows(next_logits, live, bos), strict=True)):
            gains = _log_probabilities(logits, tokens, options, eos)
            allowed = gains > -np.inf
            scaled = np.where(allowed, _penalized(logits, tokens, options) / options.temperature, -np.inf)
            noise = _gumbel((options.n_best, len(logits)), (options.seed, length - 1))[row]
            token = int(np.argmax(np.where(_probable(scaled, options), scaled + noise, -np.inf)))
            drawn.append(((*tokens, token), total + gains[token]))
        # The noise belongs to a rank, not to a sample.
        drawn.sort(key=lambda result: result[1], reverse=True)
        ended += [(tokens[:-1], total / length**options.length_penalty) for tokens, total in drawn if tokens[-1] == eos]
        live = [(tokens, total) for tokens, total in drawn if tokens[-1] != eos]
        if not live:
            break
    cut = [(tokens, total / options.max_output_length**options.length_penalty) for tokens, total in live]
    return [*sorted(ended, key=lambda result: result[1], reverse=True), *cut]


def distribution(logits: np.ndarray, options: Any) -> np.ndarray:
    """The probability of each token to be sampled, without constraints by earlier tokens.

    Args:
        logits: `[vocabulary]`.
        options: Has the search options as attributes.
    """
    scaled = logits.astype(np.float64) / options.temperature
    weights = np.where(_probable(scaled, options), np.exp(scaled - scaled.max()), 0)
    return weights / weights.sum()


def _rows(next_logits: NextLogits, live: Any, bos: int) -> np.ndarray:
    return next_logits(np.array([[bos, *tokens] for tokens, _ in live], np.int32)).astype(np.float64)


def _penalized(logits: np.ndarray, tokens: tuple[int, ...], options: Any) -> np.ndarray:
    used = np.isin(np.arange(len(logits)), tokens)
    factor = np.where(logits > 0, 1 / options.repetition_penalty, options.repetition_penalty)
    return np.where(used, logits * factor, logits)


def _log_probabilities(logits: np.ndarray, tokens: tuple[int, ...], options: Any, eos: int) -> np.ndarray:
    """Log probabilities of the next token; those of forbidden ones are infinite."""
    penalized = _penalized(logits, tokens, options)
    gains = penalized - np.logaddexp.reduce(penalized)
    if len(tokens) < options.min_output_length:
        gains[eos] = -np.inf
    size = options.no_repeat_ngram_size
    if size:
        seen = {tokens[start : start + size] for start in range(len(tokens) - size + 1)}
        repeated = [gram[-1] for gram in seen if gram[:-1] == tokens[len(tokens) - size + 1 :]]
        gains[repeated] = -np.inf
    return gains


def _probable(scaled: np.ndarray, options: Any) -> np.ndarray:
    """Which tokens top_k and top_p leave."""
    order = np.argsort(-scaled, kind="stable")
    share = np.exp(scaled[order] - np.logaddexp.reduce(scaled))
    before = np.cumsum(share) - share
    left = (before < options.top_p) if options.top_p < 1 else np.ones(len(order), bool)
    left[0] = True
    if options.top_k:
        left[options.top_k :] = False
    return left[np.argsort(order)]


def _gumbel(shape: tuple[int, int], seed: tuple[int, int]) -> np.ndarray:
    """The generator is TensorFlow's, because a seed is to give the same output in every version."""
    uniform = tf.random.stateless_uniform(shape, seed, minval=1e-20).numpy()
    return -np.log(-np.log(uniform))
