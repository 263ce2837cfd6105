"""The Transformer written from the papers' definitions, in numpy and with no code of Seqline: one sequence, no caches.

Vaswani et al. 2017 (attention, layers), Zhang and Sennrich 2019 (RMSNorm), Su et al. 2021 (rotary positions), Raffel
et al. 2020 (relative positions, no biases), Shazeer 2020 (gates), Ainslie et al. 2023 (grouped queries), Dubey et al.
2024 (scaled rotations).
"""

import math
from typing import Any

import numpy as np

Array = np.ndarray


def logits(model: Any, source: list[int], target: list[int]) -> Array:
    """The logits after each token of a target, `[len(target), vocabulary]`.

    Args:
        model: The Keras model, for its configuration and weights.
        source: Tokens of the source, with all that ends it; of a gpt, tokens before the target.
        target: Tokens of the target, with the one that starts it.
    """
    config = model.config
    if config.architecture == "gpt":
        states = _stack(model, model.decoder, _embedded(model, source + target), causal=True)
        states = states[len(source) :]
    else:
        memory = _stack(model, model.encoder, _embedded(model, source), causal=False)
        memory = _final(config, model.encoder_norm, memory)
        states = _stack(model, model.decoder, _embedded(model, target), causal=True, memory=memory)
    states = _final(config, model.decoder_norm, states) * config.logit_scale
    found = states @ np.array(model.output_embedding, np.float64).T
    return found if model.output_bias is None else found + np.array(model.output_bias)


def _embedded(model: Any, ids: list[int]) -> Array:
    config = model.config
    states = np.array(model.embedding, np.float64)[ids]
    if config.embedding_scale:
        states *= math.sqrt(config.hidden_dim)
    if config.positions == "learned":
        states += np.array(model.learned_positions)[: len(ids)]
    if config.positions == "sinusoidal":
        half = config.hidden_dim // 2
        angles = np.outer(np.arange(len(ids)), 10000.0 ** (-np.arange(half) / half))
        states += np.hstack([np.sin(angles), np.cos(angles)])
    return states


def _stack(model: Any, layers: Any, states: Array, causal: bool, memory: Array | None = None) -> Array:
    config = model.config
    length = len(states)
    mask = np.triu(np.full((length, length), -np.inf), 1) if causal else np.zeros((length, length))
    bias = np.repeat(mask[None], config.num_heads, axis=0)
    if config.positions == "relative":
        table = np.array(model.decoder_relative if causal else model.encoder_relative)
        buckets = {distance: _bucket(config, distance, not causal) for distance in range(1 - length, length)}
        for query, key in np.ndindex(length, length):
            bias[:, query, key] += table[buckets[key - query]]
    for layer in layers:
        states = _block(
            config, layer.self_norm, states, lambda x, at=layer.self_attention: _attention(config, at, x, x, bias, True)
        )
        if memory is not None:
            states = _block(
                config,
                layer.cross_norm,
                states,
                lambda x, at=layer.cross_attention: _attention(config, at, x, memory, 0.0, False),
            )
        states = _block(config, layer.feed_forward_norm, states, lambda x, ff=layer.feed_forward: _inner(config, ff, x))
    return states


def _block(config: Any, norm: Any, states: Array, block: Any) -> Array:
    if config.norm_placement == "pre":
        return states + block(_normalized(config, norm, states))
    return _normalized(config, norm, states + block(states))


def _final(config: Any, norm: Any, states: Array) -> Array:
    return _normalized(config, norm, states) if config.norm_placement == "pre" else states


def _normalized(config: Any, norm: Any, states: Array) -> Array:
    if config.norm == "layer":
        states = states - states.mean(axis=-1, keepdims=True)
    states = states / np.sqrt((states**2).mean(axis=-1, keepdims=True) + config.norm_epsilon)
    gain, *offset = (np.array(weight) for weight in norm.weights)
    return states * gain + (offset[0] if offset else 0)


def _dense(layer: Any, states: Array) -> Array:
    found = states @ np.array(layer.kernel, np.float64)
    return found + np.array(layer.bias) if layer.use_bias else found


def _attention(config: Any, layer: Any, queries: Array, keys: Array, bias: Any, rotated: bool) -> Array:
    size = config.head_dim or config.hidden_dim // config.num_heads
    groups = config.num_kv_heads or config.num_heads
    bias = np.broadcast_to(bias, (config.num_heads, len(queries), len(keys)))
    first, second = _dense(layer.project_in, queries), _dense(layer.project_in, keys)
    mixed = []
    for head in range(config.num_heads):
        group = head // (config.num_heads // groups)
        start = config.num_heads * size + group * size
        query, key = first[:, head * size : (head + 1) * size], second[:, start : start + size]
        value = second[:, start + groups * size : start + (groups + 1) * size]
        if rotated and config.positions == "rotary":
            query, key = _rotated(config, query), _rotated(config, key)
        scores = query @ key.T / (math.sqrt(size) if config.query_scale else 1) + bias[head]
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed.append(shares / shares.sum(axis=-1, keepdims=True) @ value)
    return _dense(layer.project_out, np.hstack(mixed))


def _rotated(config: Any, states: Array) -> Array:
    """Pairs of features as complex numbers, turned by an angle that grows with the position."""
    half = states.shape[1] // 2
    pairs = states[:, :half] + 1j * states[:, half:]
    for feature in range(half):
        speed = config.rope_theta ** (-feature / half)
        scaling = config.rope_scaling
        if scaling is not None:
            turns = scaling.original_max_length * speed / (2 * math.pi)
            if scaling.kind == "linear" or turns < scaling.low_freq_factor:
                speed /= scaling.factor
            elif turns < scaling.high_freq_factor:
                smooth = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
                speed = (1 - smooth) * speed / scaling.factor + smooth * speed
        pairs[:, feature] *= np.exp(1j * speed * np.arange(len(states)))
    return np.hstack([pairs.real, pairs.imag])


def _bucket(config: Any, distance: int, both: bool) -> int:
    """The number of a distance from a query to a key, negative for earlier keys."""
    buckets, base = config.relative_buckets, 0
    if both:
        buckets //= 2
        base = buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    if distance < buckets // 2:
        return base + distance
    widths = math.log(distance / (buckets // 2)) / math.log(config.relative_max_distance / (buckets // 2))
    return base + min(buckets // 2 + int(widths * (buckets - buckets // 2) + 1e-6), buckets - 1)


def _inner(config: Any, layer: Any, states: Array) -> Array:
    inner = _dense(layer.expand, states)
    gate = inner
    if config.activation in ("swiglu", "geglu"):
        gate, inner = np.split(inner, 2, axis=-1)
    else:
        inner = 1.0
    curves = {
        "relu": lambda x: np.maximum(x, 0),
        "gelu": _gelu,
        "geglu": _gelu,
        "gelu_exact": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
        "silu": lambda x: x / (1 + np.exp(-x)),
        "swiglu": lambda x: x / (1 + np.exp(-x)),
    }
    return _dense(layer.contract, curves[config.activation](gate) * inner)


def _gelu(states: Array) -> Array:
    return states / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (states + 0.044715 * states**3)))
