"""Reference search: a plain loop without caches, whose results the exported program must reproduce."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from seqline.decoding.search_options import Search
from seqline.decoding.token_choice import gumbel
from seqline.modeling.language_model import LanguageModel

Logits = Callable[[np.ndarray], np.ndarray]


def trained(model: LanguageModel) -> Callable[[list[int]], Logits]:
    """Wraps the trained model for `plain_search`.

    Args:
        model: The trained model.

    Returns:
        A function from the source's tokens, `eos` included (of a prompt from a template: all but the last), to the
        function that returns the logits of the next tokens.
    """
    ids = tf.TensorSpec((None, None), tf.int32)
    prompted = model.config.architecture == "gpt"
    specs = [(ids,) * (3 if prompted else 2)]
    last = tf.function(lambda inputs: model(inputs)[:, -1], input_signature=specs, autograph=False)

    def of(source: list[int]) -> Logits:
        def next_logits(outputs: np.ndarray) -> np.ndarray:
            sources = np.array([source] * len(outputs), np.int32)
            if not prompted:
                return np.asarray(last((sources, outputs)))
            whole = np.concatenate([sources, outputs], axis=1)
            positions = np.broadcast_to(np.arange(whole.shape[1], dtype=np.int32), whole.shape)
            return np.asarray(last((whole, np.ones_like(whole), positions)))

        return next_logits

    return of


def plain_search(
    next_logits: Logits,
    options: Search,
    start: int,
    eos_id: int,
    suppressed: Sequence[int] = (),
    other_ends: Sequence[int] = (),
) -> list[tuple[list[int], float]]:
    """Decodes one sentence; every step runs the whole model on every hypothesis.

    Args:
        next_logits: From int32 `[hypotheses, length]`, from the start on, to the logits of the next tokens,
            `[hypotheses, vocabulary]`.
        options: Search options, as plain values.
        start: Token that starts an output.
        eos_id: Token that ends it.
        suppressed: Tokens that are never generated.
        other_ends: Tokens that end it too, as `eos_id`.

    Returns:
        The results, best first: tokens between `start` and `eos`, and the score.
    """

    def normalized(score: float, length: int) -> float:
        return score / length**options.length_penalty

    hypotheses = options.n_best if options.sampling else options.beam_size
    live: list[tuple[list[int], float]] = [([], 0.0)] * (hypotheses if options.sampling else 1)
    ended: list[tuple[list[int], float]] = []
    for length in range(1, options.max_output_length + 1):
        extended = []
        logits = next_logits(np.array([[start, *ids] for ids, _ in live], np.int32))
        for slot, (ids, score) in enumerate(live):
            penalized = _penalized(logits[slot], ids, options)
            total = np.logaddexp.reduce(penalized)
            penalized[eos_id] = max(penalized[token] for token in (eos_id, *other_ends))
            gains = penalized - total
            forbidden = [*_forbidden(ids, options, eos_id), *suppressed, *other_ends]
            allowed = np.setdiff1d(np.arange(len(gains)), forbidden)
            if options.sampling:
                noise = gumbel(options.seed, length - 1, hypotheses, len(gains)).numpy()[slot]
                chosen = [_drawn(penalized, allowed, noise, options)]
            else:  # only these of this hypothesis can be among the best overall
                chosen = allowed[np.argsort(-gains[allowed], kind="stable")][: 2 * hypotheses].tolist()
            extended += [([*ids, token], score + float(gains[token])) for token in chosen]
        extended.sort(key=lambda hypothesis: -hypothesis[1])
        if not options.sampling:
            extended = extended[: 2 * hypotheses if hypotheses > 1 else 1]
        # Only candidates within the beam may end.
        ended += [(ids[:-1], normalized(score, length)) for ids, score in extended[:hypotheses] if ids[-1] == eos_id]
        ended = sorted(ended, key=lambda result: -result[1])[: options.n_best]
        live = [hypothesis for hypothesis in extended if hypothesis[0][-1] != eos_id][:hypotheses]
        final = length if options.early_stop else options.max_output_length
        if not live or (len(ended) == options.n_best and ended[-1][1] >= normalized(live[0][1], final)):
            return ended
    return [*ended, *((ids, normalized(score, options.max_output_length)) for ids, score in live)][: options.n_best]


def _penalized(logits: np.ndarray, ids: list[int], options: Search) -> np.ndarray:
    logits = logits.copy()
    for token in set(ids):
        logits[token] *= 1 / options.repetition_penalty if logits[token] > 0 else options.repetition_penalty
    return logits


def _forbidden(ids: list[int], options: Search, eos_id: int) -> list[int]:
    forbidden = [eos_id] if len(ids) < options.min_output_length else []
    size = options.no_repeat_ngram_size
    if size:
        last = ids[len(ids) - size + 1 :]
        grams = [ids[start : start + size] for start in range(len(ids) - size + 1)]
        forbidden += [gram[-1] for gram in grams if gram[:-1] == last]
    return forbidden


def _drawn(logits: np.ndarray, allowed: np.ndarray, noise: np.ndarray, options: Search) -> int:
    scaled = {token: float(logits[token]) / options.temperature for token in allowed.tolist()}
    ordered = sorted(scaled, key=lambda token: -scaled[token])
    total = np.logaddexp.reduce(list(scaled.values()))
    before = np.concatenate([[0], np.cumsum([np.exp(scaled[token] - total) for token in ordered])[:-1]])
    candidates = {token for rank, token in enumerate(ordered) if rank == 0 or before[rank] < options.top_p}
    if options.top_k:
        candidates &= set(ordered[: options.top_k])
    return max(candidates, key=lambda token: scaled[token] + noise[token])
