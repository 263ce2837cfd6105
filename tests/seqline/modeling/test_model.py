import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from seqline.components.train.batches import Batches
from seqline.components.train.packing import Packs
from seqline.components.train.pairs import HeldPairs
from seqline.errors import UserError
from seqline.modeling.architectures import make_model
from seqline.modeling.config import LATER, PRESETS, TransformerConfig
from seqline.modeling.normalization import RMSNormalization
from seqline.modeling.positions import distance_buckets
from seqline.modeling.transformer import Transformer
from tests.examples import examples
from tests.families import LLAMA, MARIAN, T5

CONFIG = TransformerConfig(
    vocabulary_size=20, encoder_layers=2, decoder_layers=2, hidden_dim=8, intermediate_dim=16, num_heads=2, dropout=0.2
)


@pytest.fixture(scope="module")
def model() -> Transformer:
    tf.keras.utils.set_random_seed(1)
    return Transformer(CONFIG)


def ids(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.int32)


def test_logits_have_the_vocabulary_as_their_last_axis(model: Transformer) -> None:
    logits = model((ids([5, 6, 3], [7, 3, 0]), ids([2, 5], [2, 9])))
    assert logits.shape == (2, 2, 20)
    assert logits.dtype == tf.float32


def test_a_later_target_token_does_not_change_an_earlier_prediction(model: Transformer) -> None:
    source = ids([5, 6, 3])
    one, other = (model((source, target)).numpy() for target in (ids([2, 5, 6, 7]), ids([2, 5, 9, 11])))
    np.testing.assert_allclose(one[:, :2], other[:, :2], atol=1e-5)
    assert np.abs(one[:, 2:] - other[:, 2:]).max() > 1e-3


@examples(6)
@given(padding=st.integers(1, 5), length=st.integers(1, 4))
def test_padding_changes_nothing(model: Transformer, padding: int, length: int) -> None:
    source = ids([*range(5, 5 + length), 3])
    target = ids([2, 9])
    padded = np.pad(source, ((0, 0), (0, padding)))
    np.testing.assert_allclose(model((source, target)).numpy(), model((padded, target)).numpy(), atol=1e-5)


def test_dropout_acts_in_training_only(model: Transformer) -> None:
    inputs = (ids([5, 6, 3]), ids([2, 7]))
    assert np.abs(model(inputs, training=True) - model(inputs)).max() > 1e-4
    np.testing.assert_array_equal(model(inputs), model(inputs))


def test_a_model_is_made_again_from_its_configuration(model: Transformer) -> None:
    again = Transformer.from_config(model.get_config())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
    assert again.config == CONFIG


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_published_sizes(name: str) -> None:
    config = TransformerConfig.preset(name, vocabulary_size=100)
    assert (name, config.hidden_dim) in {("demo", 128), ("tiny", 128), ("small", 256), ("base", 512), ("big", 1024)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_dim": 10, "num_heads": 4}, "hidden_dim 10 must be a multiple of twice num_heads"),
        ({"decoder_layers": 0}, "decoder_layers must be at least 1, not 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1"),
        ({"num_kv_heads": 3}, "num_heads 4 must be a multiple of num_kv_heads (3)"),
        ({"head_dim": 5, "positions": "rotary"}, "head_dim 5 must be even with rotary positions"),
        ({"positions": "relative", "relative_max_distance": 16}, "relative_max_distance 16 must be above half of"),
        ({"rope_scaling": {"kind": "yarn", "factor": 2}}, "rope_scaling.kind must be linear or llama3, not 'yarn'"),
        ({"pad_id": 3}, "pad_id 3 must be a token of its own; only prompt_form template does without"),
        ({"bos_id": None}, "start_id is missing: without bos_id, no token starts the target"),
        ({"eos_id": 9}, "eos_id 9 is not a token of a vocabulary of 9"),
        ({"suppressed_ids": [3]}, "suppressed_ids has eos_id 3: no output would end"),
        ({"prompt_form": "template"}, "prompt_form template needs architecture gpt, not transformer"),
    ],
)
def test_an_impossible_shape_names_the_field(change: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as error:
        TransformerConfig(**{"vocabulary_size": 9, **change})  # type: ignore[arg-type]
    assert message in str(error.value)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UserError, match="no preset 'smal'; did you mean 'small'"):
        TransformerConfig.preset("smal", vocabulary_size=9)


def test_fields_that_older_models_lack_are_written_only_with_other_values() -> None:
    assert set(CONFIG.to_dict()).isdisjoint(LATER)
    other = CONFIG.with_values(num_kv_heads=1, rope_scaling={"kind": "linear", "factor": 2.5}, suppressed_ids=[7])
    assert TransformerConfig.from_dict(json.loads(json.dumps(other.to_dict()))) == other


def test_a_relative_bias_has_the_published_buckets() -> None:
    # As T5's code: 32 buckets up to a distance of 128, of an encoder half of them for each direction.
    config = CONFIG.with_values(positions="relative")
    causal, both = (distance_buckets(config, 201, both).tolist() for both in (False, True))
    assert [causal[200 + distance] for distance in (-9, 0, 1, 15, 16, 31, 32, 64, 127, 128, 200)] == [
        *(0, 0, 1, 15, 16, 21, 21, 26, 31, 31, 31)
    ]
    assert [both[200 + distance] for distance in (-200, -64, -8, -1, 0, 1, 7, 8, 15, 16, 32, 64, 128)] == [
        *(31, 30, 24, 17, 0, 1, 7, 8, 9, 10, 12, 14, 15)
    ]


OPTIONS = [
    {"norm_placement": "post"},
    {"norm": "layer"},
    {"positions": "learned"},
    {"positions": "rotary"},
    {"positions": "relative"},
    {"num_kv_heads": 1},
    {"activation": "gelu"},
    {"activation": "swiglu"},
    {"tied_embeddings": False},
    {"attention_dropout": 0.1, "activation_dropout": 0.1},
]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "layer", "positions": "learned", "activation": "gelu", "tied_embeddings": False},
        {"norm_placement": "post", "positions": "rotary", "activation": "swiglu"},
        {"architecture": "gpt", "encoder_layers": 0},
        T5,
        MARIAN,
        {**LLAMA, "num_kv_heads": 1},
    ],
    ids=str,
)
def test_training_changes_every_weight(options: dict[str, object]) -> None:
    tf.keras.utils.set_random_seed(1)
    config = TransformerConfig(**{**CONFIG.to_dict(), "max_length": 16, **options})
    model = make_model(config)
    batch = Batches if config.architecture == "transformer" else Packs
    pairs = [(np.arange(5, 9, dtype=np.int32), np.arange(9, 14, dtype=np.int32))] * 8
    inputs, expected = next(iter(batch(HeldPairs(pairs), config, 64).dataset(1, 0)))
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(expected, 0), model(inputs))
        loss = tf.reduce_sum(losses * tf.cast(expected != config.padding, tf.float32))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        # Queries, keys and values are one matrix. The softmax does not depend on the bias of the keys.
        parts = 3 if variable.path.endswith("project_in/kernel") else 1
        for part in np.split(tf.convert_to_tensor(gradient).numpy(), parts, axis=-1):
            assert np.linalg.norm(part) > 1e-4, variable.path


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_with_every_option_order_matters_and_later_tokens_do_not(options: dict[str, object]) -> None:
    model = make_model(TransformerConfig(**{**CONFIG.to_dict(), **options}))
    predict = {
        name: model((ids(source), ids(target))).numpy()
        for name, source, target in (
            ("one", [5, 6, 7, 3], [2, 5, 6]),
            ("source turned", [7, 6, 5, 3], [2, 5, 6]),
            ("other end", [5, 6, 7, 3], [2, 5, 9]),
        )
    }
    assert np.abs(predict["one"] - predict["source turned"]).max() > 1e-4
    np.testing.assert_allclose(predict["one"][:, :2], predict["other end"][:, :2], atol=1e-5)


def test_the_normalization_s_manual_gradient_is_the_derivative() -> None:
    layer = RMSNormalization()
    layer.build((None, None, 8))
    layer.scale.assign(np.linspace(0.5, 2, 8))
    states = tf.random.stateless_normal((2, 3, 8), (1, 2))
    scale = layer.scale.value
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(states)
        ours = tf.reduce_sum(tf.sin(layer(states)))
        plain = states * tf.math.rsqrt(tf.reduce_mean(states**2, axis=-1, keepdims=True) + 1e-6) * scale
        theirs = tf.reduce_sum(tf.sin(plain))
    for variable in (states, scale):
        np.testing.assert_allclose(tape.gradient(ours, variable), tape.gradient(theirs, variable), atol=1e-4)
