import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.train.objective import TrainingModel
from seqline.components.train.options import Options
from seqline.components.train.stage import train
from seqline.components.train.warm_start import start_from
from seqline.errors import UserError
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig


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
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"positions": "absolute"}, "positions must be sinusoidal, learned or rotary, not 'absolute'"),
        ({"preset": "smal"}, "preset must be demo, tiny, small, base, big or auto, not 'smal'; did you mean 'small'?"),
        ({"monitor": "bleu", "decoded_sample": 0}, "monitor bleu needs a decoded_sample of at least 1, not 0"),
        ({"precision": "int4"}, "precision must be auto, float32 or bfloat16, not 'int4'"),
    ],
)
def test_a_wrong_option_names_itself(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as error:
        Options(**options)  # type: ignore[arg-type]
    assert message in str(error.value)


def test_a_loss_that_is_not_a_number_stops_training_with_its_position(corpus: Path, tmp_path: Path) -> None:
    options = Options(preset="demo", learning_rate=1e30, warmup_steps=0, batch_tokens=256, epochs=3)
    with pytest.raises(UserError, match=r"the loss is not a number any more at epoch \d+, batch \d+"):
        train(corpus, tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


def command_of(corpus: Path, folder: Path) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "seqline.components.train",
        "--corpus",
        str(corpus),
        "--output",
        str(folder / "out"),
    ]
    command += ["--checkpoints", str(folder / "state"), "--preset", "demo", "--epochs", "4", "--batch_tokens", "256"]
    return [*command, "--patience", "0"]


@pytest.fixture(scope="module")
def undisturbed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """The history of a training that nothing interrupts."""
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command_of(corpus, folder), check=True)
    return list(json.loads(Checkpoint(folder / "out").history.read_text()))


def check_same(folder: Path, undisturbed: list[dict[str, float]]) -> None:
    history = json.loads(Checkpoint(folder / "out").history.read_text())
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]
    for one, other in zip(history, undisturbed, strict=True):
        assert one["valid_loss"] == pytest.approx(other["valid_loss"], rel=1e-3)
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)


@pytest.mark.e2e
@pytest.mark.parametrize("killer", [signal.SIGKILL, signal.SIGTERM])
def test_training_that_was_killed_resumes_with_the_same_result(
    corpus: Path, tmp_path: Path, undisturbed: list[dict[str, float]], killer: signal.Signals
) -> None:
    process = subprocess.Popen(command_of(corpus, tmp_path))
    deadline = time.monotonic() + 120
    while not list((tmp_path / "state").glob("*/state-*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(killer)
    process.wait()
    assert not (tmp_path / "out").exists()
    again = subprocess.run(command_of(corpus, tmp_path), check=True, capture_output=True, text=True)
    assert "continuing at epoch" in again.stdout + again.stderr
    check_same(tmp_path, undisturbed)


@pytest.mark.e2e
def test_training_that_is_killed_repeatedly_has_the_same_result(
    corpus: Path, tmp_path: Path, undisturbed: list[dict[str, float]]
) -> None:
    moments = random.Random(4)
    for _ in range(4):
        process = subprocess.Popen(command_of(corpus, tmp_path))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(4, 14))
        process.kill()
        process.wait()
    subprocess.run(command_of(corpus, tmp_path), check=True)
    check_same(tmp_path, undisturbed)


@pytest.mark.e2e
def test_training_starts_from_the_weights_of_an_earlier_model(corpus: Path, checkpoint: Path, tmp_path: Path) -> None:
    options = Options(preset="demo", epochs=1, batch_tokens=512, learning_rate=1e-6, decoded_sample=0, ema_momentum=0.0)
    last = train(corpus, tmp_path / "out", warm_start=str(checkpoint), options=options)
    before = json.loads(Checkpoint(checkpoint).history.read_text())[-1]
    assert last["valid_loss"] == pytest.approx(before["valid_loss"], abs=0.02)


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
    config = TransformerConfig(**{**Checkpoint(checkpoint).read_config().model, "activation": "gelu"})
    with pytest.raises(UserError, match="has activation relu, not gelu; set it to the same"):
        start_from(Checkpoint(checkpoint), None, config, Corpus(corpus))
