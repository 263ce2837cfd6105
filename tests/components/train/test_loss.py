from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train import loss
from seqline.components.train.batches import Batches
from seqline.components.train.objective import TrainingModel
from seqline.components.train.options import Options
from seqline.components.train.packing import Packs
from seqline.components.train.pairs import HeldPairs
from seqline.errors import UserError
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from tests.examples import examples
from tests.families import LLAMA, MARIAN, T5


def textbook(
    states: tf.Tensor,
    kernel: tf.Tensor,
    labels: tf.Tensor,
    weights: tf.Tensor,
    smoothing: float,
    consistency: float = 0.0,
) -> tf.Tensor:
    size = kernel.shape[0]
    smoothed = tf.one_hot(labels, size, dtype=states.dtype) * (1 - smoothing) + smoothing / size
    logits = tf.matmul(states, kernel, transpose_b=True)
    losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
    if consistency:
        odd, even = tf.nn.log_softmax(logits[1::2]), tf.nn.log_softmax(logits[::2])
        divergences = [tf.reduce_sum(tf.exp(own) * (own - other), 1) for own, other in ((even, odd), (odd, even))]
        losses += consistency * tf.reshape(tf.stack(divergences, axis=1), [-1])
    return tf.reduce_sum(losses * weights)


@pytest.mark.parametrize("choices", [T5, MARIAN, LLAMA], ids=["t5", "marian", "llama"])
def test_the_loss_is_the_cross_entropy_of_the_models_own_logits(choices: dict[str, Any]) -> None:
    shape = {"vocabulary_size": 20, "encoder_layers": 1, "decoder_layers": 1, "hidden_dim": 8, "dropout": 0.0}
    config = TransformerConfig(**{**shape, "num_heads": 2, **choices})
    model = TrainingModel(make_model(config), label_smoothing=0.0)
    if config.logit_bias:
        model.model.output_bias.assign(np.linspace(-1, 1, 20))
    kind = Packs if config.architecture == "gpt" else Batches
    pairs = [(np.arange(4, 8, dtype=np.int32), np.arange(9, 12 + n, dtype=np.int32)) for n in range(3)]
    inputs, expected = next(iter(kind(HeldPairs(pairs), config, 64).dataset(1, 0)))
    logits, labels = model.model(inputs).numpy(), expected.numpy()
    gains = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    # Three to five tokens and an end each, which of the Llama family is the padding token too.
    rows, columns = np.nonzero(labels != config.padding)
    assert len(rows) == sum(len(target) + 1 for _, target in pairs)
    value = model.compute_loss(inputs, expected, model(inputs))
    np.testing.assert_allclose(value, -gains[rows, columns, labels[rows, columns]].mean(), rtol=1e-4)


@pytest.mark.parametrize("choices", [T5, LLAMA, {"pointer": True}], ids=["t5", "llama", "pointer"])
def test_r_drop_adds_the_divergence_between_two_dropout_masks(choices: dict[str, Any]) -> None:
    shape = {"vocabulary_size": 20, "encoder_layers": 1, "decoder_layers": 1, "hidden_dim": 8, "dropout": 0.3}
    config = TransformerConfig(**{**shape, "num_heads": 2, **choices})
    model = make_model(config)
    kind = Packs if config.architecture == "gpt" else Batches
    pairs = [(np.arange(4, 8, dtype=np.int32), np.arange(9, 12 + n, dtype=np.int32)) for n in range(3)]
    inputs, labels = next(iter(kind(HeldPairs(pairs), config, 64).dataset(1, 0)))
    (states,) = TrainingModel(model, 0.1, r_drop=4.0).call(inputs, training=True)

    def loss_of(states: Any, r_drop: float = 0.0) -> float:
        return float(TrainingModel(model, 0.1, r_drop).compute_loss(inputs, labels, [states]))

    halves = [tf.nest.map_structure(lambda tensor, first=first: tensor[first::2], states) for first in (0, 1)]
    one, other = (model.logits(half.states if config.pointer else half) for half in halves)
    gains = [tf.nn.log_softmax(logits) for logits in (one, other)]
    divergences = tf.reduce_sum((tf.exp(gains[0]) - tf.exp(gains[1])) * (gains[0] - gains[1]), axis=-1)
    divergence = float(tf.reduce_mean(tf.boolean_mask(divergences, labels != config.padding)))
    assert divergence > 1e-4
    expected = (loss_of(halves[0]) + loss_of(halves[1])) / 2 + 4.0 / 4 * divergence
    assert loss_of(states, 4.0) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("r_drop", [0.0, 4.0])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("rows", [1, 3, 4])
def test_a_batch_computed_in_parts_has_the_loss_and_the_gradients_of_the_whole(
    rows: int, training: bool, r_drop: float
) -> None:
    shape = {"vocabulary_size": 20, "encoder_layers": 1, "decoder_layers": 1, "hidden_dim": 8, "num_heads": 2}
    base = make_model(TransformerConfig(**shape, pointer=True, dropout=0.0))
    source, target, labels = (
        tf.constant(side[:rows])
        for side in (
            [[4, 5, 3], [6, 3, 0], [7, 8, 3], [3, 0, 0]],
            [[2, 7, 0], [2, 9, 8], [2, 0, 0], [2, 5, 0]],
            [[7, 3, 0], [9, 8, 3], [3, 0, 0], [5, 3, 0]],
        )
    )
    inputs = (source, target)
    found = []
    for parts in (1, 2, 3):
        model = TrainingModel(base, 0.1, r_drop, parts)
        with tf.GradientTape() as tape:
            value = model.compute_loss(inputs, labels, model(inputs, training=training), training=training)
        gradients = tape.gradient(value, base.trainable_variables)
        metrics = [float(metric.result()) for metric in model.metrics]
        found.append([value, metrics, *map(tf.convert_to_tensor, gradients)])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_r_drop_needs_a_dropout() -> None:
    with pytest.raises(UserError, match="r_drop compares two dropout masks, so it needs a dropout above 0"):
        Options(dropout=0.0, r_drop=5.0)
    assert Options(dropout=0.0, attention_dropout=0.1, r_drop=5.0).r_drop == 5


@examples(25)
@given(
    rows=st.integers(0, 23),
    chunk=st.integers(1, 9),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    consistency=st.sampled_from([0.0, 0.5, 3.0]),
    seed=st.integers(0, 99),
)
def test_value_and_gradients_are_those_of_the_textbook_however_the_rows_are_cut(
    rows: int, chunk: int, smoothing: float, consistency: float, seed: int
) -> None:
    copies = 2 if consistency else 1
    random = np.random.default_rng(seed)
    states, kernel = (tf.constant(random.normal(size=(n, 8)), tf.float32) for n in (rows * copies, 13))
    labels = tf.constant(random.integers(0, 13, rows).repeat(copies), tf.int32)
    weights = tf.constant(random.integers(0, 2, rows).repeat(copies), tf.float32)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss, "CHUNK_BYTES", chunk * 4 * 13)
        for function in (loss.smoothed_cross_entropy, textbook):
            with tf.GradientTape() as tape:
                tape.watch((states, kernel))
                value = 3 * function(states, kernel, labels, weights, smoothing, consistency=consistency)
            found.append((value, *tape.gradient(value, (states, kernel))))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_bfloat16_states_is_that_of_float32_logits(smoothing: float) -> None:
    random = np.random.default_rng(1)
    states, kernel = (tf.constant(4 * random.normal(size=(rows, 16)), tf.bfloat16) for rows in (40, 300))
    labels, weights = tf.constant(random.integers(0, 300, 40), tf.int32), tf.ones(40)
    exact = [tf.cast(one, tf.float64) for one in (states, kernel)]
    expected = textbook(*exact, labels, tf.cast(weights, tf.float64), smoothing)
    found = loss.smoothed_cross_entropy(states, kernel, labels, weights, smoothing)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
