"""The pointer-generator compared with its definition, with whole distributions."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train import loss
from seqline.components.train.buckets import Bucket
from seqline.components.train.memory import count_weights, estimate
from seqline.components.train.objective import TrainingModel
from seqline.components.train.options import Options
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from seqline.modeling.pointer import Pointed
from seqline.modeling.transformer import Transformer
from tests.examples import examples

CONFIG = TransformerConfig(
    vocabulary_size=20,
    encoder_layers=1,
    decoder_layers=1,
    hidden_dim=8,
    intermediate_dim=8,
    num_heads=2,
    dropout=0.0,
    suppressed_ids=[0, 1, 2],
    pointer=True,
)
SOURCE = np.array([[5, 6, 5, 1, 7, 3], [9, 2, 3, 0, 0, 0]], np.int32)
TARGET = np.array([[2, 5, 6, 5], [2, 9, 1, 11]], np.int32)
LABELS = np.array([[5, 6, 5, 3], [9, 1, 3, 0]], np.int32)


def made(**changes: Any) -> Transformer:
    tf.keras.utils.set_random_seed(1)
    model = Transformer(CONFIG.with_values(**changes))
    chooser = np.random.default_rng(2)
    model.set_weights([weight + chooser.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def textbook(model: Transformer, inputs: tuple[np.ndarray, np.ndarray]) -> tuple[tf.Tensor, tf.Tensor]:
    """The softmax of the logits, and the probability of each token by the definition, both `[..., vocabulary]`."""
    source, target = inputs
    memory, pointer = model.encode(source), model.pointer
    states = model.decode(memory, source, target).states
    vocabulary = tf.nn.softmax(states @ tf.transpose(tf.convert_to_tensor(model.embedding)))
    logits = pointer.queries(states) @ tf.transpose(pointer.keys(memory), (0, 2, 1)) / pointer.size**0.5
    allowed = ~np.isin(source, [0, 1, 2])
    weights = tf.nn.softmax(tf.where(allowed[:, None], logits, -np.inf))
    context = weights @ pointer.keys(memory)
    gate = tf.sigmoid(pointer.gate(tf.concat([states, context], -1)))
    return vocabulary, gate * vocabulary + (1 - gate) * (weights @ tf.one_hot(source, model.config.vocabulary_size))


@pytest.fixture(scope="module")
def model() -> Transformer:
    return made()


def test_logits_are_the_log_probabilities_of_generated_and_copied_tokens(model: Transformer) -> None:
    _, expected = textbook(model, (SOURCE, TARGET))
    found = tf.exp(model((SOURCE, TARGET)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(found, axis=-1), 1, rtol=1e-5)
    # Other pairs of a batch, and padding, have no part in it.
    np.testing.assert_allclose(model((SOURCE[1:, :3], TARGET[1:])), model((SOURCE, TARGET))[1:], atol=1e-4)


def test_a_token_that_is_never_generated_is_not_copied(model: Transformer) -> None:
    pointed = model.hidden((SOURCE, TARGET))
    assert isinstance(pointed, Pointed)
    assert np.exp(pointed.scores)[np.isin(pointed.source, [0, 1, 2])].max() == 0
    # The end of the source may be.
    assert np.exp(pointed.scores)[pointed.source == 3].min() > 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [1, 100])
def test_the_loss_and_its_gradients_are_those_of_whole_distributions(
    model: Transformer, smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "CHUNK_BYTES", chunk * 4 * 20)
    training, inputs = TrainingModel(model, smoothing), (SOURCE, TARGET)
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        ours = training.compute_loss(inputs, LABELS, training(inputs, training=True))
    found = tape.gradient(ours, variables)
    with tf.GradientTape() as tape:
        vocabulary, mixture = textbook(model, inputs)
        real = tf.cast(LABELS > 0, tf.float32)
        label = -tf.math.log(tf.gather(mixture, LABELS, batch_dims=2))
        spread = -tf.reduce_mean(tf.math.log(vocabulary), axis=-1)
        theirs = tf.reduce_sum(real * ((1 - smoothing) * label + smoothing * spread)) / tf.reduce_sum(real)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    for variable, one, other in zip(model.trainable_variables, found, tape.gradient(theirs, variables), strict=True):
        one, other = tf.convert_to_tensor(one), tf.convert_to_tensor(other)
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5, err_msg=variable.path)
        if "pointer" in variable.path:
            assert np.abs(one).max() > 1e-4


@examples(10)
@given(gate=st.sampled_from([-80.0, 0.0, 80.0]), score=st.sampled_from([0.0, -3.0, -500.0]), label=st.integers(0, 3))
def test_the_loss_stays_a_number_where_one_of_the_two_is_impossible(gate: float, score: float, label: int) -> None:
    states, kernel = tf.fill((1, 4), 20.0), tf.eye(4) * [[1.0], [-1.0], [30.0], [0.0]]
    source = tf.constant([[1, 3]])
    values = [tf.constant([gate]), tf.constant([[score, -0.01]])]
    with tf.GradientTape() as tape:
        tape.watch((states, kernel, *values))
        odds = Pointed(states, values[0], values[1], source).odds(tf.constant([label]))
        value = loss.smoothed_cross_entropy(states, kernel, tf.constant([label]), tf.ones(1), 0.0, odds=odds)
        value -= tf.reduce_sum(tf.math.log_sigmoid(values[0]))
    assert np.isfinite(value)
    assert float(value) >= -1e-3
    for gradient in tape.gradient(value, (states, kernel, *values)):
        assert np.isfinite(gradient).all()


def test_bfloat16_states_give_nearly_the_loss_of_float32(model: Transformer) -> None:
    training, inputs = TrainingModel(model, 0.1), (SOURCE, TARGET)
    exact = training.compute_loss(inputs, LABELS, [model.hidden(inputs)])
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = made()
        states = half.hidden(inputs)
        assert (states.states.dtype, states.scores.dtype, states.gate.dtype) == (tf.bfloat16, tf.float32, tf.float32)
        rounded = TrainingModel(half, 0.1).compute_loss(inputs, LABELS, [states])
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert float(rounded) == pytest.approx(float(exact), rel=0.05)


def test_its_weights_and_activations_are_counted_before_they_exist(model: Transformer) -> None:
    assert model.count_params() == count_weights(CONFIG)
    buckets = [Bucket(8, 30, 5)]
    parts = [
        estimate(config, Options(), buckets, 1, "float32") for config in (CONFIG, CONFIG.with_values(pointer=False))
    ]
    # Keys, queries, contexts, and a weight for each pair of positions.
    assert parts[0]["activations"] - parts[1]["activations"] == 4 * 8 * (30 * 8 + 2 * 5 * 8 + 5 * 30)


def test_a_model_without_an_encoder_has_no_pointer() -> None:
    with pytest.raises(UserError, match="pointer needs architecture transformer: a gpt has no encoder"):
        CONFIG.with_values(architecture="gpt", encoder_layers=0)
