import keras
import numpy as np
import pytest
import tensorflow as tf

from seqline.components.train.objective import make_training_model
from seqline.components.train.optimizer import Adam
from seqline.components.train.options import Options
from seqline.modeling.config import TransformerConfig


def after(steps: list[float], start: float = 1.0, **options: float) -> float:
    """A weight after steps with the given gradients, at learning rate 0.1."""
    weight = keras.Variable([start])
    optimizer = Adam(0.1, **options)
    optimizer.build([weight])
    for gradient in steps:
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [weight])
    return float(weight.numpy()[0])


def test_a_step_is_adam_s() -> None:
    weight = keras.Variable([1.0])
    theirs = keras.optimizers.Adam(0.1)
    theirs.build([weight])
    for gradient in (0.3, -2.0, 1.0):
        theirs.apply([keras.ops.convert_to_tensor([gradient])], [weight])
    assert after([0.3, -2.0, 1.0]) == pytest.approx(float(weight.numpy()[0]), abs=1e-5)


def test_weight_decay_is_decoupled_from_the_step() -> None:
    assert after([0.0], start=2.0, weight_decay=0.5) == pytest.approx(2.0 - 0.1 * 0.5 * 2.0)
    assert after([0.0], start=2.0) == 2.0


def test_gradients_are_clipped_by_their_norm() -> None:
    weights = [keras.Variable([0.0]), keras.Variable([0.0])]
    optimizer = Adam(0.1, clip_norm=1.0)
    optimizer.build(weights)
    optimizer.apply([keras.ops.convert_to_tensor([value]) for value in (30.0, 40.0)], weights)
    moments = [float(moment.numpy()[0]) for moment in optimizer._momentums]
    assert moments == pytest.approx([0.06, 0.08])


def test_accumulated_gradients_make_one_step_with_their_mean() -> None:
    assert after([0.5, 1.5], gradient_accumulation_steps=2) == pytest.approx(after([1.0]), abs=1e-6)
    assert after([0.5], gradient_accumulation_steps=2) == 1.0


def test_the_average_forgets_the_first_weights_and_keeps_to_the_momentum_in_the_end() -> None:
    weight = keras.Variable([5.0])
    optimizer = Adam(0.0, use_ema=True, ema_momentum=0.9)
    optimizer.build([weight])
    averages = []
    for step in range(300):
        weight.assign([5.0 if step < 10 else float(step % 2)])
        optimizer.apply([keras.ops.convert_to_tensor([0.0])], [weight])
        averages.append(float(optimizer._model_variables_moving_average[0].numpy()[0]))
    assert averages[0] == pytest.approx(5.0)
    # After 40 steps a fixed momentum would still hold 0.9 ** 30 of the first ten.
    assert averages[40] - 0.5 < 0.05 * 4.5
    assert averages[-1] == pytest.approx(0.9 * averages[-2] + 0.1 * 1.0)


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_the_average_counts_updates_and_not_their_batches(steps: int) -> None:
    def average(**options: int) -> float:
        weight = keras.Variable([1.0])
        optimizer = Adam(0.1, use_ema=True, ema_momentum=0.9, **options)
        optimizer.build([weight])
        for gradient in (0.5, -1.0, 2.0, 1.5, 0.25):
            for _ in range(options.get("gradient_accumulation_steps", 1)):
                optimizer.apply([keras.ops.convert_to_tensor([gradient])], [weight])
        return float(optimizer._model_variables_moving_average[0].numpy()[0])

    assert average(gradient_accumulation_steps=steps) == pytest.approx(average(), abs=1e-6)


def test_accumulated_gradients_are_averaged_by_the_weights_of_their_batches() -> None:
    random = np.random.default_rng(1)
    # The gradients of single tokens, in three batches of different size.
    batches = [random.normal(size=(tokens, 3)) for tokens in (2, 7, 1)]
    whole, accumulated = (keras.Variable(np.ones(3), dtype="float64") for _ in range(2))
    one = Adam(0.1, clip_norm=0.2)
    one.build([whole])
    several = Adam(0.1, clip_norm=0.2, gradient_accumulation_steps=3)
    several.build([accumulated])
    for _ in range(2):
        one.apply([tf.constant(np.concatenate(batches).mean(axis=0))], [whole])
        for batch in batches:
            several.weigh_batch(len(batch))
            several.apply([tf.constant(batch.mean(axis=0))], [accumulated])
    np.testing.assert_allclose(accumulated.numpy(), whole.numpy(), rtol=1e-12)


def test_batches_without_tokens_change_nothing() -> None:
    weight = keras.Variable([1.0])
    optimizer = Adam(0.1, gradient_accumulation_steps=2)
    optimizer.build([weight])
    for _ in range(2):
        optimizer.weigh_batch(0.0)
        optimizer.apply([keras.ops.convert_to_tensor([0.0])], [weight])
    assert float(weight.numpy()[0]) == 1.0


def test_the_decay_of_the_squared_gradients_is_an_option() -> None:
    config = TransformerConfig(vocabulary_size=9, hidden_dim=8, num_heads=2, encoder_layers=1, decoder_layers=1)
    assert make_training_model(config, Options(preset="tiny", beta_2=0.995), False).optimizer.beta_2 == 0.995
