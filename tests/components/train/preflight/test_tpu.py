"""The real TPU compiler on the real training step, without a TPU."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.train.buckets import Bucket
from seqline.components.train.flops import training_flops
from seqline.components.train.options import Options
from seqline.components.train.preflight.compiling import compile_for
from seqline.components.train.preflight.decoding import lower_decoding
from seqline.components.train.preflight.lowering import LoweringError, TrainingStep
from seqline.components.train.preflight.slices import GIB, read_slice
from seqline.components.train.preflight.stage import preflight
from seqline.errors import UserError
from seqline.modeling import layers
from seqline.modeling.architectures import ARCHITECTURES
from seqline.modeling.config import PRESETS, TransformerConfig
from tests.families import LLAMA, MARIAN, T5, Choices
from tests.nightly import NIGHTLY

pytestmark = pytest.mark.e2e(seconds=20)
TINY = Bucket(2, 8, 8)
# With one layer of each kind, demo is tiny.
EVERY = [(preset, architecture) for preset in PRESETS if preset != "demo" for architecture in ARCHITECTURES]
# The others differ in size alone, and the compiler takes up to a minute for each.
EVERY_TIME = {("tiny", "transformer"), ("small", "gpt")}


def step_of(preset: str = "tiny", architecture: str = "gpt", replicas: int = 1) -> TrainingStep:
    """A preset's step with one layer of each kind: more layers only repeat them."""
    depth = {"decoder_layers": 1, "encoder_layers": 0 if architecture == "gpt" else 1}
    config = TransformerConfig.preset(
        preset, vocabulary_size=64, max_length=16, architecture=architecture, dropout=0.1 if preset == "tiny" else 0.0
    )
    config = TransformerConfig.from_dict({**config.to_dict(), **depth})
    return TrainingStep(config, Options(preset=preset, architecture=architecture), replicas)


@pytest.mark.parametrize(("preset", "architecture"), [one for one in EVERY if NIGHTLY or one in EVERY_TIME])
def test_every_preset_of_every_architecture_compiles(preset: str, architecture: str) -> None:
    lowered = step_of(preset, architecture).lower(TINY)
    found = compile_for(read_slice("v5e:1x1"), lowered.hlo, lowered.lines)
    assert not found.error
    assert 0 < found.hbm_bytes < 2 * GIB
    # Each product is done three times: forward, and backward for the states and for the weights.
    dim, inner, tokens = PRESETS[preset]["hidden_dim"], PRESETS[preset]["intermediate_dim"], TINY.rows * TINY.target
    layer, attention, logits = 4 * dim * dim + 2 * dim * inner, 2 * dim * TINY.target, dim * 64
    stack = layer + attention if architecture == "gpt" else 2 * layer + 4 * dim * dim + 3 * attention
    assert found.flops == 6 * tokens * (stack + logits)


WAYS = [{"fine_tuning": "lora", "lora_rank": 2}, {"fine_tuning": "last", "last_layers": 1}]


@pytest.mark.parametrize("options", WAYS)
def test_a_tpu_computes_no_gradients_of_frozen_weights(options: dict[str, Any]) -> None:
    config = TransformerConfig.preset("tiny", vocabulary_size=64, max_length=16, architecture="gpt", dropout=0.0)
    config = config.with_values(decoder_layers=2)
    chosen = Options(pretrained="checkpoint", label_smoothing=0.0, **options)
    lowered = TrainingStep(config, chosen, 1).lower(TINY)
    found = compile_for(read_slice("v5e:1x1"), lowered.hlo, lowered.lines)
    assert not found.error
    # Rows whose half, on average, each position attends to: the compiler multiplies with all of it.
    tokens = TINY.rows * TINY.target
    expected = training_flops(config, 0.0, tokens, TINY.rows / 2, chosen)
    assert found.flops == pytest.approx(expected, rel=0.1)
    assert expected < 0.8 * training_flops(config, 0.0, tokens, TINY.rows / 2)


def test_tiny_stands_for_demo() -> None:
    layers = {"encoder_layers": 1, "decoder_layers": 1}
    assert {**PRESETS["tiny"], **layers} == {**PRESETS["demo"], **layers}


def test_the_replicas_of_a_slice_sum_all_gradients() -> None:
    step = step_of(replicas=4)
    found = compile_for(read_slice("v5e:2x2"), step.lower(TINY).hlo)
    weights = sum(4 * weight.shape.num_elements() for weight in step.model.trainable_variables)
    assert not found.error
    # And the count of the tokens.
    assert weights <= found.work.reduced_bytes < weights + 1024


def inject(monkeypatch: pytest.MonkeyPatch, fault: Any) -> int:
    """Replaces the feed-forward layer's call by a faulty one; returns the line of the fault."""
    monkeypatch.setattr(layers.FeedForward, "call", lambda self, states, training=False: fault(states))
    return int(fault.__code__.co_firstlineno) + 1


def test_a_string_op_in_the_model_is_caught_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(states: Any) -> Any:
        return states * tf.cast(tf.strings.length(tf.strings.as_string(states[0, 0, 0])), states.dtype)

    line = inject(monkeypatch, fault)
    with pytest.raises(LoweringError, match=rf"op \w+ of .*/feed_forward.*test_tpu.py:{line}"):
        step_of().lower(TINY)


def test_an_op_without_a_lowering_is_caught_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(states: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(lambda x: x, [states], states.dtype), states.shape)

    line = inject(monkeypatch, fault)
    with pytest.raises(LoweringError, match=rf"op PyFunc of .*/feed_forward.*test_tpu.py:{line}"):
        step_of().lower(TINY)


def test_a_dynamic_shape_is_caught_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(states: Any) -> Any:
        return states + tf.cast(tf.reduce_sum(tf.boolean_mask(states, states[..., 0] > 0)), states.dtype)

    line = inject(monkeypatch, fault)
    lowered = step_of().lower(TINY)
    found = compile_for(read_slice("v5e:1x1"), lowered.hlo, lowered.lines)
    assert found.error.startswith("a dynamic shape")
    assert "feed_forward" in found.operation
    assert f"test_tpu.py:{line}" in found.operation


def test_a_step_of_decoding_compiles() -> None:
    config = TransformerConfig.preset("demo", vocabulary_size=512)
    lowered = lower_decoding(config, sentences=8, beam=4, source=64, positions=64)
    found = compile_for(read_slice("v5e:1x1"), lowered.hlo, lowered.lines)
    assert not found.error
    # At least the products of every hypothesis with the feed-forward layers and the output layer.
    assert found.flops > 2 * 8 * 4 * (2 * 2 * 128 * 256 + 128 * 512)


@pytest.mark.parametrize("choices", [T5, MARIAN, LLAMA], ids=["t5", "marian", "llama"])
def test_the_choices_of_each_family_compile(choices: Choices) -> None:
    shape = {"vocabulary_size": 64, "encoder_layers": 1, "decoder_layers": 1, "hidden_dim": 8, "intermediate_dim": 8}
    config = TransformerConfig(**{**shape, "num_heads": 2, "max_length": 16, **choices})
    step, decoding = (
        TrainingStep(config, Options(preset="tiny")),
        lower_decoding(config, sentences=2, beam=2, source=8, positions=8),
    )
    for lowered in (step.lower(TINY), decoding):
        assert not compile_for(read_slice("v5e:1x1"), lowered.hlo, lowered.lines).error


def test_the_stage_reports_memory_time_and_cost_of_a_corpus(corpus: Path, small_demo: None, tmp_path: Path) -> None:
    options = Options(preset="demo", epochs=3, batch_tokens=512, dropout=0.0)
    report = preflight(corpus, tmp_path / "preflight", "v5e:1x1", compiled_buckets=1, search=False, options=options)
    assert (tmp_path / "preflight" / "preflight.json").exists()
    assert report.training is not None
    assert report.training.steps == sum(bucket.steps for bucket in report.buckets) > 0
    seconds = sum(bucket.steps * bucket.step_seconds for bucket in report.buckets)
    assert report.training.cost == pytest.approx(seconds / 3600 * 1.20)
    assert [bucket.compiled for bucket in report.buckets].count(True) == 1


def test_the_stage_plans_the_model_that_training_selects_and_no_longer_than_its_time_limit(
    corpus: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Checkpoint(checkpoint).read_config().model
    monkeypatch.setitem(PRESETS, "demo", {name: model[name] for name in PRESETS["demo"]})
    options, start = Options(minutes=0.01), str(checkpoint)
    report = preflight(corpus, tmp_path / "out", "v5e:1x1", 1, search=False, warm_start=start, options=options)
    assert report.model == "transformer demo, bfloat16"
    assert report.training is not None
    assert report.training.hours == pytest.approx(0.01 / 60)
    assert 1 <= report.training.steps < sum(bucket.steps for bucket in report.buckets)


def test_an_unknown_slice_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no version 'v7'"):
        preflight(corpus, tmp_path / "preflight", "v7:2x2")
    assert not (tmp_path / "preflight").exists()
