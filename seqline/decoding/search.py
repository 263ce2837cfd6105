"""Search and sampling with caches, in a TensorFlow graph; a beam of 1 is greedy search."""

from typing import Any, NamedTuple

import tensorflow as tf

from seqline.decoding.decoder import GROWTH, Decoder, Memory, separated
from seqline.decoding.layers import put
from seqline.decoding.search_options import Search, either, lesser, static
from seqline.decoding.shortlist import Shortlist
from seqline.decoding.token_choice import draw, forbid, penalize

IMPOSSIBLE = -1e9
# Finished sentences are removed once they are at least one in so many.
REMOVAL_RATIO = 8


class Found(NamedTuple):
    """The best hypotheses of each sentence, best first.

    Attributes:
        ids: int32 `[sentences, results, length]`, without the start; padded after `eos`.
        scores: float32 `[sentences, results]`: log probability divided by length ** length_penalty. Very negative
            where the constraints leave fewer results than requested.
    """

    ids: tf.Tensor
    scores: tf.Tensor


class _Sentences(NamedTuple):
    """The `live` sentences; finished ones are removed from time to time to save computation."""

    room: Any  # positions in the caches
    rows: Any  # [live] index of each sentence in the batch
    cross: Any  # see Memory
    bias: Any
    source: Any
    listed: Any  # [live, listed] see Listed.added; none without a shortlist


class _State(NamedTuple):
    """The state between two steps."""

    position: Any  # tokens decoded so far
    finished: Any  # number of live sentences that are done
    ids: Any  # [live, hypotheses, position + 1], starting as `separated` says
    scores: Any  # [live, hypotheses] log probabilities, best first; impossible ones have ended
    past: Any  # [live, hypotheses, room, hypotheses] mask: 0 at the cache slots of a hypothesis's own past
    done: Any  # [live]
    best_ids: Any  # [live, results, max_output_length] best ended hypotheses so far
    best_scores: Any  # [live, results] their normalized scores
    caches: Any  # see Decoder


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
    config, limit, results = model.config, options.max_output_length, options.n_best
    hypotheses = either(options.sampling, lambda: options.n_best, lambda: options.beam_size)
    count = tf.shape(source)[0]
    source, starts = separated(config, source)
    memory = model.encode(source)
    listed = None if shortlist is None else shortlist.of(source)
    candidates = lesser(either(_one(hypotheses), lambda: 1, lambda: 2 * hypotheses), config.vocabulary_size)
    own = tf.where(tf.eye(hypotheses, dtype=tf.bool), 0.0, IMPOSSIBLE)[None]
    joined = model.can_join and static(hypotheses) == 1
    skipped = tf.shape(source)[1] if joined else 0

    def normalized(scores: Any, length: Any) -> Any:
        longer = tf.pow(tf.cast(length, tf.float32), options.length_penalty)
        return tf.where(scores > IMPOSSIBLE, scores / longer, scores)

    def best(logits: Any, total: Any, scores: Any) -> Any:
        """The best candidates of each sentence: scores, parents and tokens, each `[live, candidates]`."""
        found = model.output.top(logits, scores - tf.reshape(total, tf.shape(scores)), candidates)
        return found if listed is None else (*found[:2], tf.gather(listed.ids, found[2]))

    def drawn(logits: Any, total: Any, scores: Any, position: Any) -> Any:
        """One sampled token for each hypothesis, in the form of `best`."""
        tokens = draw(logits, position, hypotheses, options, config.vocabulary_size)
        gained = tf.gather(logits, tokens, batch_dims=1) - total[:, 0]
        parents = tf.broadcast_to(tf.range(hypotheses), tf.shape(scores))
        return scores + tf.reshape(gained, tf.shape(scores)), parents, tf.reshape(tokens, tf.shape(scores))

    def layers(sentences: _Sentences) -> Memory:
        cross = () if joined else tf.unstack(sentences.cross, memory.cross.shape[0])
        own = None if listed is None else listed._replace(added=sentences.listed)
        return Memory(cross, sentences.bias, sentences.source, own)

    def step(sentences: _Sentences, memory: Memory, present: Any, state: _State) -> _State:
        past = put(tf.stack([0, 0, skipped + state.position]), state.past, present)
        mask = tf.reshape(past, tf.stack([-1, 1, state.scores.shape[1] or hypotheses, sentences.room * hypotheses]))
        logits, caches = model.step(
            state.ids[:, :, -1], state.position, state.caches, sentences.room, mask, memory, skipped
        )
        written = tf.reshape(state.ids[:, :, 1:], (tf.size(state.scores), state.position))
        logits = penalize(logits, written, options)
        total = model.output.log_total(logits, bounded=not tf.is_tensor(options.repetition_penalty))
        if listed is None:
            logits = forbid(model.output.allowed(logits), written, options, config.eos_id)
        scores, parents, next_ids = either(
            options.sampling,
            lambda: drawn(logits, total, state.scores, state.position),
            lambda: best(logits, total, state.scores),
        )
        length = state.position + 1
        ended = tf.equal(next_ids, config.eos_id)

        # Merge the hypotheses that end here with the best that ended before.
        ids = tf.concat([tf.gather(state.ids, parents, batch_dims=1), tf.expand_dims(next_ids, 2)], axis=2)
        # Of the candidates beyond the beam, which replace those that end, none ends itself.
        within = ended & (tf.range(tf.shape(scores)[1]) < hypotheses)
        ending = tf.where(within & (scores > IMPOSSIBLE), normalized(scores, length), IMPOSSIBLE)
        best_scores, chosen = tf.math.top_k(tf.concat([state.best_scores, ending], axis=1), results)
        before = state.best_ids
        if static(results) != 1:
            before = tf.gather(before, tf.minimum(chosen, results - 1), batch_dims=1)
        now = tf.gather(ids[:, :, 1:], tf.maximum(chosen - results, 0), batch_dims=1)
        now = tf.pad(now, [[0, 0], [0, 0], [0, limit - length]], constant_values=config.padding)
        best_ids = tf.where(tf.expand_dims(chosen < results, 2), before, now)

        # The best live hypotheses.
        scores, chosen = tf.math.top_k(tf.where(ended, 2 * IMPOSSIBLE, scores), hypotheses)
        parents = tf.gather(parents, chosen, batch_dims=1)
        done = best_scores[:, -1] >= normalized(scores[:, 0], length if options.early_stop else limit)
        # A finished sentence finds nothing more until it is removed: its results must not depend on its batch.
        scores = tf.where(tf.expand_dims(done, 1), 2 * IMPOSSIBLE, scores)
        return _State(
            length,
            tf.math.count_nonzero(done, dtype=tf.int32),
            tf.gather(ids, chosen, batch_dims=1),
            scores,
            tf.gather(past, parents, batch_dims=1),
            done,
            best_ids,
            best_scores,
            caches,
        )

    def run_steps(sentences: _Sentences, state: _State) -> _State:
        """Steps until enough sentences are done to be worth removing, or the caches are full."""
        end, live = tf.minimum(sentences.room - skipped, limit), tf.shape(sentences.rows)[0]
        memory, present = layers(sentences), tf.tile(own, (live, 1, 1))
        (state,) = tf.while_loop(
            lambda state: (state.position < end) & (REMOVAL_RATIO * state.finished < live),
            lambda state: (step(sentences, memory, present, state),),
            (state,),
            (state_shapes,),
        )
        return state

    def compact(sentences: _Sentences, state: _State, out: Found) -> tuple[_Sentences, _State, Found]:
        """Removes the finished sentences, and grows full caches."""
        at_limit = tf.equal(state.position, limit)
        # At the limit, live hypotheses end unfinished and rank after finished ones.
        ended = tf.where(state.best_scores > IMPOSSIBLE, state.best_scores, 3 * IMPOSSIBLE)
        open_ended = tf.where(at_limit & (state.scores > IMPOSSIBLE), 2 * IMPOSSIBLE, 4 * IMPOSSIBLE)
        _, chosen = tf.math.top_k(tf.concat([ended, open_ended], axis=1), results)
        scores = tf.concat([state.best_scores, normalized(state.scores, state.position)], axis=1)
        scores = tf.gather(scores, chosen, batch_dims=1)
        unfilled = [[0, 0], [0, 0], [0, limit - state.position]]
        live_ids = tf.pad(state.ids[:, :, 1:], unfilled, constant_values=config.padding)
        ids = tf.gather(tf.concat([state.best_ids, live_ids], axis=1), chosen, batch_dims=1)

        ending = state.done | at_limit
        finished = tf.where(ending)[:, 0]
        indices = tf.gather(sentences.rows, finished)[:, None]
        out = Found(
            tf.tensor_scatter_nd_update(out.ids, indices, tf.gather(ids, finished)),
            tf.tensor_scatter_nd_update(out.scores, indices, tf.gather(scores, finished)),
        )
        remaining = tf.where(~ending)[:, 0]
        # Growing copies the source too, if the caches begin with it: a long one less often.
        growth = tf.where(tf.equal(skipped + state.position, sentences.room), GROWTH + skipped // GROWTH, 0)
        moved = {
            name: tf.gather(getattr(state, name), remaining)
            for name in ("ids", "scores", "past", "done", "best_ids", "best_scores")
        }
        unwritten = [[0, 0], [0, 0], [0, growth], [0, 0]]
        moved["past"] = tf.pad(moved["past"], unwritten, constant_values=IMPOSSIBLE)
        caches = model.move_caches(state.caches, remaining, growth)
        sentences = _Sentences(
            sentences.room + growth,
            tf.gather(sentences.rows, remaining),
            tf.gather(sentences.cross, remaining, axis=1),
            tf.gather(sentences.bias, remaining),
            *(tf.nest.map_structure(lambda one: tf.gather(one, remaining), sentences[-2:])),
        )
        return sentences, state._replace(finished=0, caches=caches, **moved), out

    # All hypotheses of a search start equal: only the first is possible, and with a static beam only it is decoded.
    first_only = 2 * IMPOSSIBLE * (1 - tf.eye(1, hypotheses))
    started = either(options.sampling, lambda: tf.zeros_like(first_only), lambda: first_only)
    width, static_results, longest = static(hypotheses), static(results), static(limit)
    single_start = width is not None and width > 1 and options.sampling is False
    first = 1 if single_start else hypotheses
    past = tf.fill((count, first, GROWTH, hypotheses), IMPOSSIBLE)
    if joined:
        past = tf.concat([tf.reshape(memory.bias, (count, 1, skipped, 1)), past], axis=2)
    start = _State(
        position=tf.constant(0),
        finished=tf.constant(0),
        ids=tf.tile(starts[:, :, None], (1, first, 1)),
        scores=tf.broadcast_to(started[:, :first], (count, first)),
        past=past,
        done=tf.zeros((count,), tf.bool),
        best_ids=tf.fill((count, results, limit), config.padding),
        best_scores=tf.fill((count, results), IMPOSSIBLE),
        caches=model.source_caches(memory, GROWTH) if joined else model.empty_caches(count, hypotheses, GROWTH),
    )
    cross = memory.cross[:0] if joined else memory.cross
    of_source = (memory.source, () if listed is None else listed.added)
    everyone = _Sentences(tf.constant(GROWTH) + skipped, tf.range(count), cross, memory.bias, *of_source)
    if single_start:
        start = step(everyone, layers(everyone), tf.tile(own[:, :1], (count, 1, 1)), start)
    state_shapes = _State(
        position=tf.TensorShape(()),
        finished=tf.TensorShape(()),
        ids=tf.TensorShape((None, width, None)),
        scores=tf.TensorShape((None, width)),
        past=tf.TensorShape((None, width, None, width)),
        done=tf.TensorShape((None,)),
        best_ids=tf.TensorShape((None, static_results, longest)),
        best_scores=tf.TensorShape((None, static_results)),
        caches=tuple(
            tf.TensorShape((None, None, None if width is None else width * model.size // model.group, model.group))
            for _ in range(config.decoder_layers)
        ),
    )
    shapes = _Sentences(
        room=tf.TensorShape(()),
        rows=tf.TensorShape((None,)),
        cross=tf.TensorShape((cross.shape[0], None, model.kv_heads, None, model.size)),
        bias=tf.TensorShape((None, 1, 1, None)),
        source=tf.nest.map_structure(lambda _: tf.TensorShape((None, None)), memory.source),
        listed=tf.nest.map_structure(lambda _: tf.TensorShape((None, None)), of_source[1]),
    )
    out = Found(tf.fill((count, results, limit), config.padding), tf.zeros((count, results)))
    out_shapes = Found(tf.TensorShape((None, static_results, longest)), tf.TensorShape((None, static_results)))
    _, _, found = tf.while_loop(
        lambda sentences, state, out: tf.shape(sentences.rows)[0] > 0,
        lambda sentences, state, out: compact(sentences, run_steps(sentences, state), out),
        (everyone, start, out),
        shape_invariants=(shapes, state_shapes, out_shapes),
    )
    return found


def _one(hypotheses: Any) -> Any:
    return tf.equal(hypotheses, 1) if tf.is_tensor(hypotheses) else hypotheses == 1
