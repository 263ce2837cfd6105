"""The test kit names everything that is wrong with an artifact, a line each."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqline.checking.artifacts import check_artifact
from seqline.cli import main
from seqline.components.adopt import loading, stage


@pytest.fixture(autouse=True)
def called_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "problems_of", lambda folder: loading.called(str(folder)))


def edit(name: str, **values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        for path, value in values.items():
            *parents, last = path.split("__")
            found = content
            for parent in parents:
                found = found[parent]
            found[last] = value
        (folder / name).write_text(json.dumps(content))

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content)  # type: ignore[return-value]


def longer_text(folder: Path) -> None:
    with (folder / "test.jsonl").open("a") as file:
        file.write('{"source": "a"}\n')


def cut_shard(folder: Path) -> None:
    shard = next(folder.glob("train-*.ids"))
    shard.write_bytes(shard.read_bytes()[:-7])


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (remove("manifest.json"), ["manifest.json is missing"]),
        (edit("manifest.json", options__task="singing"), ["options.task must be one of translation"]),
        (edit("manifest.json", options__max_tokens="9"), ["options.max_tokens must be a whole number"]),
        (
            edit("manifest.json", counts__kept=3, fingerprint=""),
            ["kept is 3", "counts.read is", "fingerprint is"],
        ),
        (edit("manifest.json", counts__train=3), ["counts.kept", "the train shards have"]),
        (
            edit("manifest.json", vocabulary_size=20),
            ["vocabulary_size is 20, but tokenizer.model has", "is not in a vocabulary of"],
        ),
        (edit("manifest.json", source_language="tlh-klingon-x"), ["source_language: "]),
        (edit("manifest.json", counts="many"), ["manifest.json cannot be read (counts: "]),
        (write("tokenizer.model", "x"), ["tokenizer.model cannot be read"]),
        (remove("tokenizer.vocab"), ["tokenizer.vocab is missing"]),
        (remove("valid.jsonl"), ["valid.jsonl is missing"]),
        (longer_text, ["has no text target", "lines, but counts.test is"]),
        (cut_shard, ["is damaged: it has", "bytes, and manifest.json says"]),
    ],
)
def test_a_corpus(change: Callable[[Path], None], messages: list[str], corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "corpus")
    change(tmp_path / "corpus")
    found = "\n".join(check_artifact("corpus", tmp_path / "corpus"))
    assert [message for message in messages if message not in found] == [], found
    assert all(line.startswith(str(tmp_path / "corpus")) for line in found.splitlines())


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (remove("config.json"), ["config.json is missing"]),
        (remove("model.weights.h5"), ["model.weights.h5 is missing"]),
        (edit("config.json", model__hidden_dim=64), ["model.weights.h5 does not match the model in config.json"]),
        (edit("config.json", model__hidden_dim=3), ["config.json: model.hidden_dim 3 must be"]),
        (
            edit("config.json", model__hiden_dim=3),
            ["model.hiden_dim is unknown; did you mean 'hidden_dim'"],
        ),
        (edit("config.json", model__vocabulary_size=10), ["model.vocabulary_size is 10, but tokenizer.model has"]),
        (write("history.json", "[]"), ["history.json must be a list with an object for each epoch"]),
        (write("history.json", '[{"loss": 1}]'), ["history.json: epoch 1 has no number valid_loss"]),
    ],
)
def test_a_checkpoint(change: Callable[[Path], None], messages: list[str], checkpoint: Path, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("logs")
    shutil.copytree(checkpoint, tmp_path / "checkpoint", ignore=ignored)
    change(tmp_path / "checkpoint")
    found = "\n".join(check_artifact("checkpoint", tmp_path / "checkpoint"))
    assert [message for message in messages if message not in found] == [], found


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (
            edit("model.json", fingerprint="", source_language="xq-wrong-"),
            ["fingerprint is", "source_language: "],
        ),
        (edit("model.json", decoding=3), ["model.json cannot be read (decoding"]),
        (remove("saved_model.pb"), ["contains no SavedModel: saved_model.pb is missing"]),
    ],
)
def test_a_model(
    change: Callable[[Path], None], messages: list[str], toy_models: SimpleNamespace, tmp_path: Path
) -> None:
    shutil.copytree(toy_models.quiet, tmp_path / "model")
    change(tmp_path / "model")
    found = "\n".join(check_artifact("model", tmp_path / "model"))
    assert [message for message in messages if message not in found] == [], found


def test_what_seqline_wrote_passes(
    corpus: Path, checkpoint: Path, toy_models: SimpleNamespace, capsys: pytest.CaptureFixture
) -> None:
    for kind, folder in (("corpus", corpus), ("checkpoint", checkpoint), ("model", toy_models.quiet)):
        assert main(["check-artifact", kind, str(folder)]) == 0
        assert f"{folder}: a {kind} that Seqline can use" in capsys.readouterr().out


def test_the_command_prints_a_line_each_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "corpus").mkdir()
    assert main(["check-artifact", "corpus", str(tmp_path / "corpus")]) == 1
    first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"error: {tmp_path / 'corpus' / 'manifest.json'} is missing")
    assert second.endswith("tokenizer.model is missing")
    assert last == "error: 2 problems"
    assert main(["check-artifact", "corpus", str(tmp_path / "nothing")]) == 1
    assert "nothing is not a folder" in capsys.readouterr().err
