import json
import logging
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.train.objective import TrainingModel
from seqline.components.train.options import Options
from seqline.components.train.stage import train
from seqline.components.train.trainer import Trainer
from seqline.components.train.warm_start import start_from
from seqline.components.train.working_state import run_identity
from seqline.errors import UserError
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from tests import forked
from tests.components.train import process
from tests.components.train.shards import write_pairs
from tests.components.train.small import SMALL

ROOT = Path(__file__).parents[3]


def test_a_checkpoint_is_complete_and_training_learns(checkpoint: Path) -> None:
    history = json.loads(Checkpoint(checkpoint).history.read_text())
    assert Checkpoint(checkpoint).read_config().model["encoder_layers"] == 2
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert history[1]["valid_loss"] < history[0]["valid_loss"]
    assert list(Checkpoint(checkpoint).logs.glob("events*"))
    assert [path.name for path in checkpoint.parent.iterdir() if "state" in path.name] == []


def test_the_report_shows_every_epoch_and_the_best_one(checkpoint: Path) -> None:
    page = (checkpoint.parent / "training.html").read_text()
    history = json.loads(Checkpoint(checkpoint).history.read_text())
    for entry in history:
        assert f"{entry['valid_loss']:.3f}" in page
        assert {"valid_bleu", "valid_rougeL"} <= set(entry)
    assert "The checkpoint holds the weights of epoch 2" in page
    assert "BLEU and ROUGE-L of the decoded sample" in page


def test_the_attention_view_shows_sentences_with_a_map_for_every_head(checkpoint: Path) -> None:
    page = (checkpoint.parent / "attention.html").read_text()
    assert page.count("<h2>") == 3
    assert page.count("last layer, head") == 2 * 3 * 4
    assert page.count("data:image/png;base64,") == 3 * (4 + 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"dropout": 1.5}, "dropout must be at least 0 and below 1, not 1.5"),
        ({"learning_rate": -0.1}, "learning_rate must be at least 0, not -0.1"),
        ({"positions": "absolute"}, "positions must be sinusoidal, learned, rotary, relative or auto, not 'absolute'"),
        ({"preset": "smal"}, "preset must be demo, tiny, small, base, big or auto, not 'smal'; did you mean 'small'?"),
        ({"monitor": "bleu", "decoded_sample": 0}, "monitor bleu needs a decoded_sample of at least 1, not 0"),
        ({"precision": "int4"}, "precision must be auto, float32 or bfloat16, not 'int4'"),
    ],
)
def test_a_wrong_option_names_itself(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as error:
        Options(**options)  # type: ignore[arg-type]
    assert message in str(error.value)


def weights_of(checkpoint: Path) -> list[np.ndarray]:
    config = TransformerConfig.from_dict(Checkpoint(checkpoint).read_config().model)
    model = make_model(config)
    model.load_weights(Checkpoint(checkpoint).weights)
    return [variable.numpy() for variable in model.trainable_variables]


def run_until_killed(epoch: int, batch: int, corpus: Path, folder: Path, options: Options) -> None:
    """Trains in a process that is killed after a batch."""
    arguments = (str(corpus), str(folder), options.model_dump_json(), signal.SIGKILL, epoch, batch)
    killed = forked.start(folder / "log.txt", process.main, *arguments)
    assert forked.exit_code(killed) == -signal.SIGKILL, (folder / "log.txt").read_text()[-2000:]
    assert not (folder / "checkpoint").exists()


def run_until_terminated(epoch: int, batch: int, corpus: Path, folder: Path, options: Options) -> str:
    """Trains in a process that is terminated after a batch, and ends as a job's does; returns its log."""
    command = [sys.executable, "-m", "tests.components.train.process", str(corpus), str(folder)]
    command += [options.model_dump_json(), str(int(signal.SIGTERM)), str(epoch), str(batch)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 143, ended.stderr[-2000:]
    assert not (folder / "checkpoint").exists()
    return ended.stderr


@forked.FORKED
@pytest.mark.e2e(seconds=40)
def test_training_that_was_killed_and_terminated_ends_with_the_same_weights(
    corpus: Path, undisturbed: Path, plain: Options, small_demo: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_until_killed(1, 4, corpus, tmp_path, plain)
    log = run_until_terminated(2, 2, corpus, tmp_path, plain)
    assert "continuing at epoch 1, batch 4" in log
    assert "terminated: saved at epoch 2, batch 2; run again to continue" in log
    assert "GeneratorDataset iterator" not in log
    with caplog.at_level(logging.INFO):
        train(corpus, tmp_path / "checkpoint", checkpoints=str(tmp_path / "states"), options=plain)
    assert "continuing at epoch 2, batch 3" in caplog.text
    assert not (tmp_path / "states").exists()
    for one, other in zip(weights_of(tmp_path / "checkpoint"), weights_of(undisturbed), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_a_state_is_continued_only_with_the_same_data_and_options(
    corpus: Path,
    plain: Options,
    begin: Callable[..., Trainer],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    plain = plain.with_values(lr_schedule="inverse_square_root")

    def batches(corpus: Path, **changes: Any) -> int:
        """Of all processes that had this state."""
        states = str(tmp_path / "states")
        return begin(corpus, tmp_path / "checkpoint", checkpoints=states, options=plain.with_values(**changes)).step

    assert [batches(corpus) for _ in range(2)] == [1, 2]
    # Options that change only how long it takes.
    assert batches(corpus, minutes=5, epochs=plain.epochs + 10, patience=1, devices="one", xla="off") == 3
    assert batches(corpus, learning_rate=0.1) == 1
    assert batches(corpus, seed=2) == 1
    assert "working states of 2 other runs, whose data, options or version of Seqline differ" in caplog.text
    other = shutil.copytree(corpus, tmp_path / "corpus")
    manifest = json.loads(Corpus(other).manifest.read_text())
    Corpus(other).manifest.write_text(json.dumps({**manifest, "fingerprint": "of other data"}))
    assert batches(other) == 1
    assert batches(corpus) == 4


@pytest.mark.parametrize("name", sorted(set(Options.model_fields) - {"devices", "xla", "patience"}))
def test_every_option_that_changes_the_result_is_part_of_a_run_s_identity(name: str) -> None:
    options = Options()
    value = getattr(options, name)
    choices = [one for one in get_args(Options.model_fields[name].annotation) if isinstance(one, str) and one != value]
    if isinstance(value, bool):
        changed: Any = not value
    elif isinstance(value, dict):
        changed = {**value, "added": "my-plugin==1.0"}
    elif isinstance(value, str | list):
        changed = value[1:] if isinstance(value, list) else (choices or [f"{value}x"])[0]
    else:
        changed = value + 1
    other = options.model_copy(update={name: changed})
    assert run_identity("data", other, "") != run_identity("data", options, "")


@pytest.mark.parametrize("kind", ["linear", "cosine", "inverse_square_root"])
@pytest.mark.parametrize("change", [{"epochs": 30}, {"minutes": 5.0}], ids=str)
def test_another_end_is_another_run_if_the_schedule_ends_with_it(kind: Any, change: dict[str, Any]) -> None:
    identities = {run_identity("data", Options(lr_schedule=kind, **changes), "") for changes in ({}, change)}
    assert len(identities) == (1 if kind == "inverse_square_root" else 2)


def test_the_corpus_and_the_warm_start_are_part_of_a_run_s_identity() -> None:
    identities = {run_identity(data, Options(), start) for data in ("one", "two") for start in ("", "gs://b/one")}
    assert len(identities) == 4


def test_the_precision_of_a_training_is_not_that_of_models_made_after_it(
    corpus: Path, plain: Options, begin: Callable[..., Trainer], tmp_path: Path
) -> None:
    import keras

    trainer = begin(corpus, tmp_path / "out", options=plain.with_values(precision="bfloat16"))
    assert trainer.model.model.compute_dtype == "bfloat16"
    assert keras.mixed_precision.global_policy().name == "float32"
    # An export in the same process.
    assert make_model(trainer.model.model.config).compute_dtype == "float32"
    states = keras.random.normal((2, 3, SMALL["hidden_dim"]), dtype="bfloat16")
    kernel = np.asarray(trainer.model.model.output_embedding.numpy()).astype(states.dtype.as_numpy_dtype)
    expected = states.numpy().astype(np.float64) @ kernel.astype(np.float64).T
    np.testing.assert_allclose(trainer.model.model.logits(states), expected, rtol=1e-5, atol=1e-6)


def test_training_starts_from_the_weights_of_an_earlier_model(
    corpus: Path, undisturbed: Path, plain: Options, begin: Callable[..., Trainer], tmp_path: Path
) -> None:
    trainer = begin(corpus, tmp_path / "out", warm_start=str(undisturbed), options=plain)
    for one, other in zip(trainer.model.trainable_variables, weights_of(undisturbed), strict=True):
        np.testing.assert_array_equal(one.numpy(), other)


@pytest.mark.e2e(seconds=20)
def test_a_gpt_learns_from_other_tokens_in_every_epoch(corpus: Path, small_demo: None, tmp_path: Path) -> None:
    options = Options(
        architecture="gpt",
        preset="demo",
        subword_sampling=0.1,
        epochs=3,
        batch_tokens=512,
        learning_rate=0.02,
        warmup_steps=5,
        ema_momentum=0.0,
        decoded_sample=0,
        precision="float32",
    )
    train(corpus, tmp_path / "out", options=options)
    history = json.loads(Checkpoint(tmp_path / "out").history.read_text())
    assert history[2]["valid_loss"] < history[0]["valid_loss"] - 0.1
    assert len({entry["target_tokens"] for entry in history}) > 1
    assert Checkpoint(tmp_path / "out").read_config().model["architecture"] == "gpt"


@pytest.mark.e2e(seconds=20)
def test_training_selects_preset_and_devices_and_ends_with_the_minutes(
    corpus: Path, small_demo: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = Options(
        preset="auto", devices="auto", minutes=1e-6, epochs=9, batch_tokens=128, decoded_sample=0, precision="float32"
    )
    with caplog.at_level(logging.INFO):
        train(corpus, tmp_path / "out", options=options)
    (line,) = (line for line in caplog.messages if line.startswith("preset demo: "))
    assert "tiny is too slow" in line
    assert "demo is the smallest: " in line
    assert "the time limit of 1e-06 minutes was reached within epoch 1" in caplog.text
    (entry,) = json.loads(Checkpoint(tmp_path / "out").history.read_text())
    assert entry["target_tokens"] < Corpus(corpus).read_manifest().shards[0].target_tokens
    config = Checkpoint(tmp_path / "out").read_config()
    assert config.model["hidden_dim"] == SMALL["hidden_dim"]
    assert config.options["preset"] == "auto"


@pytest.mark.e2e(seconds=30)
def test_accumulated_batches_train_like_one_batch_of_their_size(corpus: Path, small_demo: None, tmp_path: Path) -> None:
    copy = shutil.copytree(corpus, tmp_path / "corpus")
    write_pairs(copy, "train", [(5, 6)] * 32)
    write_pairs(copy, "valid", [(5, 6)] * 32)
    weights = []
    for steps, batch_tokens in ((2, 112), (1, 224)):
        options = Options(
            preset="demo",
            gradient_accumulation_steps=steps,
            batch_tokens=batch_tokens,
            epochs=4,
            learning_rate=0.02,
            warmup_steps=2,
            dropout=0.0,
            ema_momentum=0.0,
            decoded_sample=0,
            precision="float32",
        )
        train(copy, tmp_path / str(steps), options=options)
        weights.append(weights_of(tmp_path / str(steps)))
    for one, other in zip(*weights, strict=True):
        # Adam enlarges rounding errors, above all of the keys' biases, which have no gradient.
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_weights_of_a_checkpoint_of_version_1_are_loaded(corpus: Path, checkpoint: Path, tmp_path: Path) -> None:
    old = Checkpoint(shutil.copytree(checkpoint, tmp_path / "old"))
    content = json.loads(old.config.read_text())
    names = {"hidden_dim": "width", "intermediate_dim": "feed_forward", "num_heads": "heads"}
    content["model"] = {names.get(name, name): value for name, value in content["model"].items()}
    old.config.write_text(json.dumps({**content, "schema_version": 1}))
    config = TransformerConfig.from_dict(Checkpoint(checkpoint).read_config().model)
    models = [TrainingModel(make_model(config)) for _ in range(2)]
    for model, folder in zip(models, (old.path, checkpoint), strict=True):
        start_from(Checkpoint(folder), model, config, Corpus(corpus))
    for one, other in zip(*(model.trainable_variables for model in models), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_weights_of_another_vocabulary_are_refused(corpus: Path, checkpoint: Path, tmp_path: Path) -> None:
    other = shutil.copytree(checkpoint, tmp_path / "other")
    with Checkpoint(other).tokenizer.open("ab") as tokenizer:
        tokenizer.write(b" ")
    config = TransformerConfig(**Checkpoint(checkpoint).read_config().model)
    with pytest.raises(UserError, match=r"the vocabulary of .* differs from that of the corpus"):
        start_from(Checkpoint(other), None, config, Corpus(corpus))


def test_weights_of_another_shape_are_refused_by_the_option_s_name(corpus: Path, checkpoint: Path) -> None:
    model = Checkpoint(checkpoint).read_config().model
    for field, value, said in (
        ("activation", "gelu", "has activation relu, not gelu; set it to the same"),
        ("encoder_layers", 8, "has encoder_layers 2, not 8; set preset to demo"),
        ("norm_epsilon", 0.5, "has norm_epsilon 1e-06, not 0.5; no option sets it: leave warm_start empty"),
    ):
        config = TransformerConfig(**{**model, field: value})
        with pytest.raises(UserError, match=said):
            start_from(Checkpoint(checkpoint), None, config, Corpus(corpus), "small")
    # As where a plugin or another version arranges the preset.
    config = TransformerConfig(**{**model, "encoder_layers": 8})
    with pytest.raises(UserError, match="has encoder_layers 2, not 8; no option sets it: leave warm_start empty"):
        start_from(Checkpoint(checkpoint), None, config, Corpus(corpus), "demo")
