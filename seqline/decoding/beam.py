"""Beam search and sampling with caches; see `seqline.decoding.search`."""

from typing import Any, NamedTuple

import tensorflow as tf

from seqline.decoding.decoder import GROWTH, Decoder, Memory
from seqline.decoding.layers import put
from seqline.decoding.live import IMPOSSIBLE, Batch, Found, Live, constrained, normalized
from seqline.decoding.search_options import Search, either, lesser, static
from seqline.decoding.shortlist import Shortlist
from seqline.decoding.token_choice import draw


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


def beam_search(model: Decoder, source: tf.Tensor, options: Search, shortlist: Shortlist | None = None) -> Found:
    """Searches with a beam, or samples.

    Args:
        model: The decoder.
        source: int32 `[sentences, source length]`, padded.
        options: Search options.
        shortlist: Selects the tokens to search in; None for all.
    """
    config, limit, results = model.config, options.max_output_length, options.n_best
    penalty = options.length_penalty
    hypotheses = either(options.sampling, lambda: options.n_best, lambda: options.beam_size)
    batch = Batch(model, source, static(hypotheses) == 1, shortlist)
    count, skipped = batch.count, batch.skipped
    candidates = lesser(either(_one(hypotheses), lambda: 1, lambda: 2 * hypotheses), config.vocabulary_size)
    own = tf.where(tf.eye(hypotheses, dtype=tf.bool), 0.0, IMPOSSIBLE)[None]

    def best(logits: Any, total: Any, scores: Any) -> Any:
        """The best candidates of each sentence: scores, parents and tokens, each `[live, candidates]`."""
        sums, parents, places = model.output.top(logits, scores - tf.reshape(total, tf.shape(scores)), candidates)
        return sums, parents, batch.tokens(places)

    def drawn(logits: Any, total: Any, scores: Any, position: Any) -> Any:
        """One sampled token for each hypothesis, in the form of `best`."""
        tokens = draw(logits, position, hypotheses, options, config.vocabulary_size)
        gained = tf.gather(logits, tokens, batch_dims=1) - total[:, 0]
        parents = tf.broadcast_to(tf.range(hypotheses), tf.shape(scores))
        return scores + tf.reshape(gained, tf.shape(scores)), parents, tf.reshape(tokens, tf.shape(scores))

    def step(sentences: Live, memory: Memory, present: Any, state: _State) -> _State:
        past = put(tf.stack([0, 0, skipped + state.position]), state.past, present)
        mask = tf.reshape(past, tf.stack([-1, 1, state.scores.shape[1] or hypotheses, sentences.room * hypotheses]))
        logits, caches = model.step(
            state.ids[:, :, -1], state.position, state.caches, sentences.room, mask, memory, skipped
        )
        written = tf.reshape(state.ids[:, :, 1:], (tf.size(state.scores), state.position))
        logits, total = constrained(model, logits, written, options, batch.listed)
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
        ending = tf.where(within & (scores > IMPOSSIBLE), normalized(scores, length, penalty), IMPOSSIBLE)
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
        done = best_scores[:, -1] >= normalized(scores[:, 0], length if options.early_stop else limit, penalty)
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

    def run_steps(sentences: Live, state: _State) -> _State:
        """Steps until enough sentences are done to be worth removing, or the caches are full."""
        end, live = tf.minimum(sentences.room - skipped, limit), tf.shape(sentences.rows)[0]
        memory, present = batch.memory_of(sentences), tf.tile(own, (live, 1, 1))
        (state,) = tf.while_loop(
            lambda state: (state.position < end) & sentences.worth_steps(state.finished),
            lambda state: (step(sentences, memory, present, state),),
            (state,),
            (state_shapes,),
        )
        return state

    def compact(sentences: Live, state: _State, out: Found) -> tuple[Live, _State, Found]:
        """Removes the finished sentences, and grows full caches."""
        at_limit = tf.equal(state.position, limit)
        # At the limit, live hypotheses end unfinished and rank after finished ones.
        ended = tf.where(state.best_scores > IMPOSSIBLE, state.best_scores, 3 * IMPOSSIBLE)
        open_ended = tf.where(at_limit & (state.scores > IMPOSSIBLE), 2 * IMPOSSIBLE, 4 * IMPOSSIBLE)
        _, chosen = tf.math.top_k(tf.concat([ended, open_ended], axis=1), results)
        scores = tf.concat([state.best_scores, normalized(state.scores, state.position, penalty)], axis=1)
        scores = tf.gather(scores, chosen, batch_dims=1)
        unfilled = [[0, 0], [0, 0], [0, limit - state.position]]
        live_ids = tf.pad(state.ids[:, :, 1:], unfilled, constant_values=config.padding)
        ids = tf.gather(tf.concat([state.best_ids, live_ids], axis=1), chosen, batch_dims=1)

        ending = state.done | at_limit
        finished = tf.where(ending)[:, 0]
        rows = tf.gather(sentences.rows, finished)
        out = out.with_rows(rows, tf.gather(ids, finished), tf.gather(scores, finished))
        remaining = tf.where(~ending)[:, 0]
        growth = batch.growth(sentences, state.position)
        moved = {
            name: tf.gather(getattr(state, name), remaining)
            for name in ("ids", "scores", "past", "done", "best_ids", "best_scores")
        }
        unwritten = [[0, 0], [0, 0], [0, growth], [0, 0]]
        moved["past"] = tf.pad(moved["past"], unwritten, constant_values=IMPOSSIBLE)
        caches = model.move_caches(state.caches, remaining, growth)
        return sentences.kept(remaining, growth), state._replace(finished=0, caches=caches, **moved), out

    # All hypotheses of a search start equal: only the first is possible, and with a static beam only it is decoded.
    first_only = 2 * IMPOSSIBLE * (1 - tf.eye(1, hypotheses))
    started = either(options.sampling, lambda: tf.zeros_like(first_only), lambda: first_only)
    width, static_results, longest = static(hypotheses), static(results), static(limit)
    single_start = width is not None and width > 1 and options.sampling is False
    first = 1 if single_start else hypotheses
    past = tf.fill((count, first, GROWTH, hypotheses), IMPOSSIBLE)
    if batch.joined:
        past = tf.concat([tf.reshape(batch.memory.bias, (count, 1, skipped, 1)), past], axis=2)
    start = _State(
        position=tf.constant(0),
        finished=tf.constant(0),
        ids=tf.tile(batch.starts[:, :, None], (1, first, 1)),
        scores=tf.broadcast_to(started[:, :first], (count, first)),
        past=past,
        done=tf.zeros((count,), tf.bool),
        best_ids=tf.fill((count, results, limit), config.padding),
        best_scores=tf.fill((count, results), IMPOSSIBLE),
        caches=batch.caches(hypotheses),
    )
    if single_start:
        start = step(batch.everyone, batch.memory_of(batch.everyone), tf.tile(own[:, :1], (count, 1, 1)), start)
    state_shapes = _State(
        position=tf.TensorShape(()),
        finished=tf.TensorShape(()),
        ids=tf.TensorShape((None, width, None)),
        scores=tf.TensorShape((None, width)),
        past=tf.TensorShape((None, width, None, width)),
        done=tf.TensorShape((None,)),
        best_ids=tf.TensorShape((None, static_results, longest)),
        best_scores=tf.TensorShape((None, static_results)),
        caches=batch.cache_shapes(width),
    )
    out = Found.nothing(count, results, limit, config.padding)
    out_shapes = Found(tf.TensorShape((None, static_results, longest)), tf.TensorShape((None, static_results)))
    _, _, found = tf.while_loop(
        lambda sentences, state, out: tf.shape(sentences.rows)[0] > 0,
        lambda sentences, state, out: compact(sentences, run_steps(sentences, state), out),
        (batch.everyone, start, out),
        shape_invariants=(batch.shapes, state_shapes, out_shapes),
    )
    return found


def _one(hypotheses: Any) -> Any:
    return tf.equal(hypotheses, 1) if tf.is_tensor(hypotheses) else hypotheses == 1
