"""The same search written as a plain loop: what the exported program must find, in the words of the textbook."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from seqline.decoding.search_options import Search
from seqline.decoding.token_choice import gumbel
from seqline.modeling.language_model import LanguageModel

Logits = Callable[[np.ndarray], np.ndarray]


def trained(model: LanguageModel) -> Callable[[list[int]], Logits]:
    """The trained model as `plain_search` asks it.

    Args:
        model: The model, as training made it.

    Returns:
        From a source's pieces, `eos` included, to the function that gives the logits of its next pieces.
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


def plain_search(next_logits: Logits, how: Search, bos_id: int, eos_id: int) -> list[tuple[list[int], float]]:
    """Decodes one sentence; every step runs the whole model on every hypothesis.

    Args:
        next_logits: From int32 `[hypotheses, length]`, starting with `bos`, to the logits of the pieces that come
            next, `[hypotheses, vocabulary]`.
        how: How to search, in plain values.
        bos_id: What an output starts with.
        eos_id: What ends it.

    Returns:
        The results, the best first: pieces between `bos` and `eos`, and the score.
    """

    def normalized(score: float, length: int) -> float:
        return score / length**how.length_penalty

    hypotheses = how.n_best if how.sampling else how.beam_size
    live: list[tuple[list[int], float]] = [([], 0.0)] * (hypotheses if how.sampling else 1)
    ended: list[tuple[list[int], float]] = []
    for length in range(1, how.max_output_length + 1):
        extended = []
        logits = next_logits(np.array([[bos_id, *ids] for ids, _ in live], np.int32))
        for slot, (ids, score) in enumerate(live):
            penalized = _penalized(logits[slot], ids, how)
            gains = penalized - np.logaddexp.reduce(penalized)
            allowed = np.setdiff1d(np.arange(len(gains)), _forbidden(ids, how, eos_id))
            if how.sampling:
                noise = gumbel(how.seed, length - 1, hypotheses, len(gains)).numpy()[slot]
                chosen = [_drawn(penalized, allowed, noise, how)]
            else:  # others of this hypothesis cannot be among the best of all
                chosen = allowed[np.argsort(-gains[allowed], kind="stable")][: 2 * hypotheses].tolist()
            extended += [([*ids, piece], score + float(gains[piece])) for piece in chosen]
        extended.sort(key=lambda hypothesis: -hypothesis[1])
        if not how.sampling:
            extended = extended[: 2 * hypotheses if hypotheses > 1 else 1]
        ended += [(ids[:-1], normalized(score, length)) for ids, score in extended if ids[-1] == eos_id]
        ended = sorted(ended, key=lambda result: -result[1])[: how.n_best]
        live = [hypothesis for hypothesis in extended if hypothesis[0][-1] != eos_id][:hypotheses]
        final = length if how.early_stop else how.max_output_length
        if not live or (len(ended) == how.n_best and ended[-1][1] >= normalized(live[0][1], final)):
            return ended
    return [*ended, *((ids, normalized(score, how.max_output_length)) for ids, score in live)][: how.n_best]


def _penalized(logits: np.ndarray, ids: list[int], how: Search) -> np.ndarray:
    logits = logits.copy()
    for piece in set(ids):
        logits[piece] *= 1 / how.repetition_penalty if logits[piece] > 0 else how.repetition_penalty
    return logits


def _forbidden(ids: list[int], how: Search, eos_id: int) -> list[int]:
    forbidden = [eos_id] if len(ids) < how.min_output_length else []
    size = how.no_repeat_ngram_size
    if size:
        last = ids[len(ids) - size + 1 :]
        grams = [ids[start : start + size] for start in range(len(ids) - size + 1)]
        forbidden += [gram[-1] for gram in grams if gram[:-1] == last]
    return forbidden


def _drawn(logits: np.ndarray, allowed: np.ndarray, noise: np.ndarray, how: Search) -> int:
    warm = {piece: float(logits[piece]) / how.temperature for piece in allowed.tolist()}
    ordered = sorted(warm, key=lambda piece: -warm[piece])
    total = np.logaddexp.reduce(list(warm.values()))
    before = np.concatenate([[0], np.cumsum([np.exp(warm[piece] - total) for piece in ordered])[:-1]])
    kept = {piece for place, piece in enumerate(ordered) if place == 0 or before[place] < how.top_p}
    if how.top_k:
        kept &= set(ordered[: how.top_k])
    return max(kept, key=lambda piece: warm[piece] + noise[piece])
