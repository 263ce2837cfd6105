"""Greedy search; see `seqline.decoding.search`.

It finds what a beam search with one hypothesis finds. A step has fewer operations: nothing is ranked or reordered.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from seqline.decoding.decoder import GROWTH, Decoder, Memory
from seqline.decoding.layers import put
from seqline.decoding.live import IMPOSSIBLE, Batch, Found, Live, constrained, normalized
from seqline.decoding.search_options import Search, static
from seqline.decoding.shortlist import Shortlist


class _State(NamedTuple):
    """The state between two steps."""

    position: Any  # tokens decoded so far
    finished: Any  # number of live sentences that are done
    tokens: Any  # [live, 1] the last ones
    ids: Any  # [live, max_output_length] padded after `eos`
    scores: Any  # [live] log probabilities
    past: Any  # [live, room] mask: 0 at the cache slots that are written
    done: Any  # [live]
    caches: Any  # see Decoder


def greedy_search(model: Decoder, source: tf.Tensor, options: Search, shortlist: Shortlist | None = None) -> Found:
    """Takes the most probable token at each position.

    Args:
        model: The decoder.
        source: int32 `[sentences, source length]`, padded.
        options: Search options; those of beams and of sampling are ignored.
        shortlist: Selects the tokens to search in; None for all.
    """
    config, limit = model.config, options.max_output_length
    batch = Batch(model, source, True, shortlist)
    count, skipped = batch.count, batch.skipped

    def step(live: Live, memory: Memory, present: Any, state: _State) -> _State:
        past = put(tf.stack([0, skipped + state.position]), state.past, present)
        mask = past[:, None, None]
        logits, caches = model.step(state.tokens, state.position, state.caches, live.room, mask, memory, skipped)
        logits, total = constrained(model, logits, state.ids[:, : state.position], options, batch.listed)
        best, places = model.output.highest(logits)
        # A finished sentence is padded until it is removed. Its padding, which may be no token, is not decoded.
        tokens = batch.tokens(places)
        padded = tf.where(state.done, config.padding, tokens)
        done = state.done | tf.equal(tokens, config.eos_id)
        return _State(
            state.position + 1,
            tf.math.count_nonzero(done, dtype=tf.int32),
            tokens[:, None],
            put(tf.stack([0, state.position]), state.ids, padded),
            state.scores + tf.where(state.done, 0.0, best - total[:, 0]),
            past,
            done,
            caches,
        )

    def run_steps(live: Live, state: _State) -> _State:
        """Steps until enough sentences are done to be worth removing, or the caches are full."""
        end = tf.minimum(live.room - skipped, limit)
        memory, present = batch.memory_of(live), tf.zeros_like(state.scores)
        (state,) = tf.while_loop(
            lambda state: (state.position < end) & live.worth_steps(state.finished),
            lambda state: (step(live, memory, present, state),),
            (state,),
            (state_shapes,),
        )
        return state

    def compact(live: Live, state: _State, out: Found) -> tuple[Live, _State, Found]:
        """Removes the finished sentences, and grows full caches."""
        ending = state.done | tf.equal(state.position, limit)
        finished, remaining = tf.where(ending)[:, 0], tf.where(~ending)[:, 0]
        ids = tf.gather(state.ids, finished)
        ends = tf.argmax(tf.cast(tf.equal(ids, config.eos_id), tf.int32), axis=1, output_type=tf.int32)
        length = tf.where(tf.gather(state.done, finished), ends + 1, state.position)
        scores = normalized(tf.gather(state.scores, finished), length, options.length_penalty)
        out = out.with_rows(tf.gather(live.rows, finished), ids[:, None], scores[:, None])
        growth = batch.growth(live, state.position)
        moved = {
            name: tf.gather(getattr(state, name), remaining) for name in ("tokens", "ids", "scores", "past", "done")
        }
        moved["past"] = tf.pad(moved["past"], [[0, 0], [0, growth]], constant_values=IMPOSSIBLE)
        caches = model.move_caches(state.caches, remaining, growth)
        return live.kept(remaining, growth), state._replace(finished=0, caches=caches, **moved), out

    past = tf.fill((count, GROWTH), IMPOSSIBLE)
    if batch.joined:
        past = tf.concat([batch.memory.bias[:, 0, 0], past], axis=1)
    start = _State(
        position=tf.constant(0),
        finished=tf.constant(0),
        tokens=batch.starts,
        ids=tf.fill((count, limit), config.padding),
        scores=tf.zeros((count,)),
        past=past,
        done=tf.zeros((count,), tf.bool),
        caches=batch.caches(1),
    )
    state_shapes = _State(
        position=tf.TensorShape(()),
        finished=tf.TensorShape(()),
        tokens=tf.TensorShape((None, 1)),
        ids=tf.TensorShape((None, static(limit))),
        scores=tf.TensorShape((None,)),
        past=tf.TensorShape((None, None)),
        done=tf.TensorShape((None,)),
        caches=batch.cache_shapes(1),
    )
    out_shapes = Found(tf.TensorShape((None, 1, static(limit))), tf.TensorShape((None, 1)))
    _, _, found = tf.while_loop(
        lambda live, state, out: tf.shape(live.rows)[0] > 0,
        lambda live, state, out: compact(live, run_steps(live, state), out),
        (batch.everyone, start, Found.nothing(count, 1, limit, config.padding)),
        shape_invariants=(batch.shapes, state_shapes, out_shapes),
    )
    return found
