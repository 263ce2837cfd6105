"""Ways of fine-tuning: LoRA, the last layers, gradient checkpointing."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.train.fine_tuning import prepare_fine_tuning
from seqline.components.train.memory import count_trained, count_weights
from seqline.components.train.objective import TrainingModel, make_training_model
from seqline.components.train.options import Options
from seqline.components.train.precision import precision
from seqline.components.train.progress import Progress
from seqline.components.train.stage import train
from seqline.errors import UserError
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from seqline.modeling.lora import merge_adapters
from seqline.pretrained.checkpoint import read_pretrained
from seqline.pretrained.loading import build_model, load_weights
from seqline.schema.options import OptionsError
from tests import pretrained_checkpoints as checkpoints

LORA: dict[str, Any] = {"fine_tuning": "lora", "lora_rank": 3, "lora_alpha": 6.0}


def batch_of(config: TransformerConfig) -> tuple[Any, Any]:
    """Random inputs of a model, and the expected tokens."""
    ids = tf.constant(np.random.default_rng(1).integers(3, 79, (4, 9)), tf.int32)
    if config.architecture == "gpt":
        return (ids, tf.ones_like(ids), tf.range(9)[None] + tf.zeros_like(ids)), tf.roll(ids, -1, 1)
    return (ids, ids), tf.roll(ids, -1, 1)


def fine_tuned(folder: Path, family: str, **options: Any) -> TrainingModel:
    """The training model of a small checkpoint."""
    pretrained = read_pretrained(checkpoints.write(folder / family, family))
    chosen = Options(pretrained=str(folder), learning_rate=0.05, **options)
    config = pretrained.config.with_values(dropout=0.0)
    return make_training_model(config, chosen, False, lambda model: load_weights(model.model, pretrained))


@pytest.mark.parametrize("family", ["llama3", "t5", "marian"])
def test_adapters_start_as_the_base_and_alone_are_trained(family: str, tmp_path: Path) -> None:
    model = fine_tuned(tmp_path, family, **LORA, ema_momentum=0.9)
    base = build_model(read_pretrained(tmp_path / family))
    inputs, expected = batch_of(base.config)
    np.testing.assert_array_equal(model.model(inputs), base(inputs))
    assert {variable.name[:2] for variable in model.trainable_variables} == {"a_", "b_"}
    # Two moments and an average of each adapter, the number of updates and the learning rate.
    assert len(model.optimizer.variables) == 3 * len(model.trainable_variables) + 2
    first = [variable.numpy() for variable in model.trainable_variables]
    for _ in range(2):
        model.train_step((inputs, expected))
    assert all(np.any(one != two.numpy()) for one, two in zip(first, model.trainable_variables, strict=True))
    adapted = model.model(inputs).numpy()
    assert np.abs(adapted - base(inputs)).max() > 0.01
    frozen = [weight for weight in model.model.weights if not weight.trainable]
    for one, other in zip(frozen, base.weights, strict=True):
        np.testing.assert_array_equal(one, other)

    merge_adapters(model.model)
    np.testing.assert_allclose(model.model(inputs), adapted, atol=1e-4, rtol=1e-4)
    # Tied embeddings keep their input side.
    np.testing.assert_array_equal(model.model.embedding, base.embedding)
    model.model.save_weights(tmp_path / "merged.weights.h5")
    again = make_model(base.config)
    again.load_weights(tmp_path / "merged.weights.h5")
    np.testing.assert_array_equal(again(inputs), model.model(inputs))


def test_adapters_are_float32_also_where_bfloat16_is_computed(tmp_path: Path) -> None:
    with precision("bfloat16"):
        model = fine_tuned(tmp_path, "llama3", **LORA, gradient_checkpointing=True, dropout=0.25)
    batch, first = batch_of(model.model.config), [variable.numpy() for variable in model.trainable_variables]
    for _ in range(2):
        model.train_step(batch)
    assert model.model.compute_dtype == "bfloat16"
    assert {variable.numpy().dtype.name for variable in model.trainable_variables} == {"float32"}
    assert all(np.any(one != two.numpy()) for one, two in zip(first, model.trainable_variables, strict=True))
    plain = fine_tuned(tmp_path, "llama3", **LORA)
    for one, other in zip(plain.trainable_variables, model.trainable_variables, strict=True):
        one.assign(other)
    exact = plain.model(batch[0]).numpy()
    assert np.abs(model.model(batch[0]).numpy() - exact).mean() < 0.02 * np.abs(exact).mean()


def test_adapters_are_only_beside_their_targets(tmp_path: Path) -> None:
    model = fine_tuned(tmp_path, "llama3", **LORA, lora_targets=["values", "output"])
    # Of 2 layers: A and B of two projections.
    assert len(model.trainable_variables) == 2 * 2 * 2
    inputs, expected = batch_of(model.model.config)
    before = [layer.self_attention.project_in.kernel.numpy() for layer in model.model.decoder]
    model.train_step((inputs, expected))
    merge_adapters(model.model)
    values = model.model.decoder[0].self_attention.edges[2]
    for layer, kernel in zip(model.model.decoder, before, strict=True):
        np.testing.assert_array_equal(layer.self_attention.project_in.kernel.numpy()[:, :values], kernel[:, :values])
        assert np.all(layer.self_attention.project_in.kernel.numpy()[:, values:] != kernel[:, values:])


def test_the_last_layers_alone_are_trained(tmp_path: Path) -> None:
    model = fine_tuned(tmp_path, "llama3", fine_tuning="last", last_layers=1)
    before = [weight.numpy() for weight in model.model.weights]
    model.train_step(batch_of(model.model.config))
    changed = [one for one, value in zip(model.model.weights, before, strict=True) if np.any(one.numpy() != value)]
    last = (*model.model.decoder[1].weights, *model.model.decoder_norm.weights)
    assert {id(weight) for weight in changed} == {id(weight) for weight in last}
    assert len(model.optimizer.variables) == 2 * len(last) + 2


@pytest.mark.parametrize("family", ["llama3", "t5"])
def test_gradient_checkpointing_changes_no_gradient(family: str, tmp_path: Path) -> None:
    model = fine_tuned(tmp_path, family)
    inputs, expected = batch_of(model.model.config)

    @tf.function
    def gradients() -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(None, expected, model(inputs, training=True))
        return [
            tf.convert_to_tensor(one) for one in tape.gradient(loss, list(map(value_of, model.trainable_variables)))
        ]

    def value_of(variable: Any) -> Any:
        return variable.value

    plain = gradients.get_concrete_function()()
    prepare_fine_tuning(model.model, Options(preset="tiny", gradient_checkpointing=True))
    again = tf.function(gradients.python_function)()
    for one, other in zip(plain, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_gradient_checkpointing_drops_the_same_activations_twice() -> None:
    config = TransformerConfig(
        vocabulary_size=80, encoder_layers=1, decoder_layers=1, hidden_dim=8, intermediate_dim=8, num_heads=2,
        dropout=0.3, attention_dropout=0.3, activation_dropout=0.3, activation="gelu",
    )  # fmt: skip
    model = make_training_model(config, Options(preset="tiny", gradient_checkpointing=True, label_smoothing=0.0), False)
    inputs, expected = batch_of(config)
    seeds = [variable for variable in model.non_trainable_variables if "seed" in variable.path]
    first, weight = [seed.numpy() for seed in seeds], model.model.encoder[0].feed_forward.expand.kernel

    @tf.function
    def measure() -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(None, expected, model(inputs, training=True))
        return loss, tape.gradient(loss, weight.value)

    def measured(shift: Any = 0.0) -> Any:
        for seed, value in zip(seeds, first, strict=True):
            seed.assign(value)
        weight.assign(start + shift)
        return measure()

    start = weight.numpy()
    _, gradient = measured()
    assert np.linalg.norm(gradient) > 1e-3
    step = gradient.numpy() * (0.05 / np.linalg.norm(gradient))
    slope = float(measured(step)[0] - measured(-step)[0]) / 0.1
    assert slope == pytest.approx(float(np.linalg.norm(gradient)), rel=0.02)
    assert float(measured()[0]) != float(measure()[0])  # another step drops others


@pytest.mark.parametrize("family", checkpoints.PARITY)
@pytest.mark.parametrize("way", [{}, LORA, {**LORA, "lora_targets": ["keys", "expand"]}, {"fine_tuning": "last"}])
def test_weights_are_counted_before_they_exist(family: str, way: dict[str, Any]) -> None:
    from seqline.pretrained import llama, marian, t5
    from seqline.pretrained.fields import Fields

    kind = checkpoints.CONFIGS[family]["model_type"]
    read: Any = {"marian": marian.read_config, "t5": t5.read_config}.get(kind, llama.read_config)
    config = read(Fields(json.dumps(checkpoints.CONFIGS[family]), family))
    options = Options(pretrained="x", last_layers=1, **way) if way.get("fine_tuning") == "last" else Options(**way)
    model = make_model(config)
    assert model.count_params() == count_weights(config)
    prepare_fine_tuning(model, options)
    assert sum(int(np.prod(one.shape)) for one in model.trainable_weights) == count_trained(config, options)


@pytest.mark.e2e(seconds=30)
def test_a_lora_run_resumes_exactly_and_writes_its_adapter(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    size = json.loads(Corpus(corpus).manifest.read_text())["vocabulary_size"]
    weights = checkpoints.weights_of("llama3", vocab_size=size)
    folder = checkpoints.write(tmp_path / "base", "llama3", config={"vocab_size": size}, weights=weights)
    options = Options(
        pretrained=str(folder), epochs=2, batch_tokens=512, decoded_sample=0, precision="float32", dropout=0.1,
        warmup_steps=1, patience=0, learning_rate=0.01, gradient_checkpointing=True, **LORA,
    )  # fmt: skip
    train(corpus, tmp_path / "whole", options=options)

    end_of_batch = Progress.on_train_batch_end

    def preempted(progress: Progress, index: int, logs: Any = None) -> None:
        if (progress.trainer.epoch, progress.trainer.step) == (1, 0):
            os.kill(os.getpid(), signal.SIGTERM)
        end_of_batch(progress, index, logs)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_train_batch_end", preempted)
        with pytest.raises(SystemExit):
            train(corpus, tmp_path / "resumed", options=options)
    *_, state = sorted((tmp_path / ".resumed.state").glob("*/state-*.npz"))
    # Neither the base nor moments of it.
    with np.load(state) as saved:
        assert not any(saved[name].shape == (size, checkpoints.SIZE) for name in saved.files)
    moved = checkpoints.write(
        folder, "llama3", config={"vocab_size": size}, weights=checkpoints.weights_of("llama3", 9, vocab_size=size)
    )
    with pytest.raises(UserError, match="the checkpoint to start from was replaced; restore it, or delete the folder"):
        train(corpus, tmp_path / "resumed", options=options)
    checkpoints.write(moved, "llama3", config={"vocab_size": size}, weights=weights)
    with caplog.at_level("INFO"):
        train(corpus, tmp_path / "resumed", options=options)
    assert "continuing at epoch 2, batch 2" in caplog.text
    assert "memory: optimizer 0." in caplog.text

    written = [Checkpoint(tmp_path / name) for name in ("whole", "resumed")]
    whole, resumed = (load_file(one.adapter / "adapter_model.safetensors") for one in written)
    for name, tensor in whole.items():
        np.testing.assert_allclose(tensor, resumed[name], atol=1e-5)
    check_format(whole, json.loads((written[0].adapter / "adapter_config.json").read_text()), str(folder))

    model = make_model(TransformerConfig.from_dict(written[0].read_config().model))
    model.load_weights(written[0].weights)
    prefix = "base_model.model.model.layers.1.mlp.down_proj"
    added = whole[f"{prefix}.lora_B.weight"] @ whole[f"{prefix}.lora_A.weight"] * 2
    kernel = weights["model.layers.1.mlp.down_proj.weight"] + added
    np.testing.assert_allclose(model.decoder[1].feed_forward.contract.kernel, kernel.T, atol=1e-5)


def check_format(tensors: dict[str, np.ndarray], config: dict[str, Any], base: str) -> None:
    """Checks names and shapes of an adapter of the small Llama 3 with those that peft 0.21 saves."""
    inner, width, small = checkpoints.INNER, 4 * 12, 2 * 12
    sizes = {
        "self_attn.q_proj": (checkpoints.SIZE, width),
        "self_attn.k_proj": (checkpoints.SIZE, small),
        "self_attn.v_proj": (checkpoints.SIZE, small),
        "self_attn.o_proj": (width, checkpoints.SIZE),
        "mlp.gate_proj": (checkpoints.SIZE, inner),
        "mlp.up_proj": (checkpoints.SIZE, inner),
        "mlp.down_proj": (inner, checkpoints.SIZE),
    }
    expected = {}
    for layer in range(2):
        for name, (inputs, outputs) in sizes.items():
            module = f"base_model.model.model.layers.{layer}.{name}"
            expected |= {f"{module}.lora_A.weight": (3, inputs), f"{module}.lora_B.weight": (outputs, 3)}
    assert {name: tensor.shape for name, tensor in tensors.items()} == expected
    assert (
        config.items()
        >= {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": 3,
            "lora_alpha": 6.0,
            "target_modules": sorted(name.partition(".")[2] for name in sizes),
            "base_model_name_or_path": base,
        }.items()
    )


@pytest.mark.parametrize("way", ["lora", "last"])
def test_random_weights_are_not_frozen(way: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"fine_tuning is {way}, .* set training.pretrained or warm_start"):
        train(tmp_path, tmp_path / "out", options=Options(fine_tuning=way))


def test_options_of_another_way_are_refused() -> None:
    with pytest.raises(OptionsError, match="lora_rank needs fine_tuning lora, not full"):
        Options(lora_rank=4)
    with pytest.raises(OptionsError, match="last_layers needs fine_tuning last, not lora"):
        Options(fine_tuning="lora", last_layers=4)
    with pytest.raises(OptionsError, match="lora_targets: names keys twice"):
        Options(fine_tuning="lora", lora_targets=["keys", "keys"])
    assert Options(pretrained="x", fine_tuning="lora").learning_rate == 0.0005


def test_more_last_layers_than_there_are_are_refused(
    corpus: Path, undisturbed: Path, begin: Callable[..., Any], plain: Options, tmp_path: Path
) -> None:
    options = plain.with_values(fine_tuning="last", last_layers=9)
    with pytest.raises(UserError, match=r"last_layers is 9, but the model's decoder has \d layers: set it to at mo"):
        train(corpus, tmp_path / "out", warm_start=str(undisturbed), options=options)


def test_adapters_work_on_an_earlier_training_too(
    corpus: Path, undisturbed: Path, begin: Callable[..., Any], plain: Options, tmp_path: Path
) -> None:
    trainer = begin(corpus, tmp_path / "out", warm_start=str(undisturbed), options=plain.with_values(**LORA))
    assert {variable.name[:2] for variable in trainer.model.trainable_variables} == {"a_", "b_"}


def test_a_configuration_is_refused_before_the_run_starts() -> None:
    from seqline.schema.sections import resolve

    training = {"training": {"fine_tuning": "lora"}}
    with pytest.raises(OptionsError, match=r"fine_tuning is lora, which .* random: set training.pretrained or warm_st"):
        resolve({}, training)
    resolve({"warm_start": "gs://bucket/checkpoint"}, training)
