"""The checkpoint that training starts from is pinned and checked in the first task."""

from pathlib import Path
from typing import Any

import pytest

from seqline.components.snapshot.component import snapshot as component
from seqline.components.snapshot.stage import check_and_snapshot
from seqline.errors import UserError
from tests import pretrained_checkpoints as checkpoints
from tests import whole_checkpoints
from tests.seqline.tokenizers import small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return checkpoints.write(tmp_path / "checkpoint", "llama2")


def pinned(tmp_path: Path, training: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """The complete options of training."""
    (tmp_path / "a.tsv").write_text("one\teins\n")
    parameters = {"data": str(tmp_path / "a.tsv"), "training": training, **rest}
    options: dict[str, Any] = check_and_snapshot(tmp_path / "snapshot", parameters)[-1]
    return options


def test_the_checkpoint_s_content_is_part_of_the_options_of_training(folder: Path, tmp_path: Path) -> None:
    first = pinned(tmp_path, {"pretrained": str(folder)})
    assert (first["pretrained"], len(first["pretrained_fingerprint"])) == (str(folder), 64)
    assert pinned(tmp_path, {"pretrained": str(folder)}) == first
    checkpoints.write(folder, "llama2", weights=checkpoints.weights_of("llama2", seed=2))
    assert pinned(tmp_path, {"pretrained": str(folder)})["pretrained_fingerprint"] != first["pretrained_fingerprint"]
    with pytest.raises(UserError, match=r"have the fingerprint .*, not .*; restore them, or leave pretrained_fingerpr"):
        pinned(tmp_path, first)
    assert pinned(tmp_path, {})["pretrained_fingerprint"] == ""


def test_a_relative_path_is_written_out(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pinned(tmp_path, {"pretrained": "checkpoint"})["pretrained"] == str(folder)


def test_what_cannot_be_trained_is_refused_before_anything_is_tokenized(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training.pretrained and warm_start exclude each other"):
        pinned(tmp_path, {"pretrained": str(folder)}, warm_start=str(folder))
    checkpoints.write(folder, "llama2", config={"hidden_act": "gelu"})
    with pytest.raises(UserError, match='hidden_act "gelu" is not supported for llama'):
        pinned(tmp_path, {"pretrained": str(folder)})
    assert not (tmp_path / "snapshot").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "big"}, "preset cannot be set with pretrained: the model's shape is that of the checkpoint's"),
        ({"architecture": "gpt", "norm": "layer"}, "architecture and norm cannot be set with pretrained"),
        ({"pretrained": "", "pretrained_fingerprint": "0"}, "pretrained_fingerprint needs pretrained"),
    ],
)
def test_options_of_the_shape_are_refused(options: dict[str, Any], message: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        pinned(tmp_path, {"pretrained": str(folder), **options})


def test_pretrained_weights_are_trained_in_smaller_steps_by_default(folder: Path, tmp_path: Path) -> None:
    scratch, found = pinned(tmp_path, {}), pinned(tmp_path, {"pretrained": str(folder)})
    assert (scratch["learning_rate"], found["learning_rate"], found["ema_momentum"]) == (0.0, 0.0001, 0.0)
    assert pinned(tmp_path, {"pretrained": str(folder), "learning_rate": 0.002})["learning_rate"] == 0.002


def outputs(tmp_path: Path, **parameters: Any) -> dict[str, Any]:
    """The outputs of the first task, of a pipeline with a corpus and a training."""
    (tmp_path / "a.tsv").write_text("one\teins\n")
    given = {"data": str(tmp_path / "a.tsv"), "corpus": {}, **parameters}
    names = ("fingerprint", "warm_start_fingerprint", "model", "model_fingerprint", "baseline", "corpus", "training")
    assert set(names) < set(component.python_func.__annotations__["return"]._fields)
    return dict(zip(names, check_and_snapshot(tmp_path / "snapshot", given), strict=True))


def test_the_checkpoint_s_tokenizer_is_that_of_the_corpus(tmp_path: Path) -> None:
    folder = str(whole_checkpoints.write_llama(tmp_path / "whole"))
    found = outputs(tmp_path, training={"pretrained": folder}, corpus={"chat": True})
    assert found["corpus"]["tokenizer"] == folder
    assert found["baseline"] == {"address": folder, "fingerprint": found["training"]["pretrained_fingerprint"]}
    # A file of the tokenizer is an input of the corpus.
    (tmp_path / "whole" / "tokenizer_config.json").write_bytes(small.settings(eos_token="<|endoftext|>"))
    assert outputs(tmp_path, training={"pretrained": folder})["fingerprint"] != found["fingerprint"]
    assert outputs(tmp_path, training={})["baseline"] == {"standing": "none"}


def test_another_tokenizer_than_the_checkpoint_s_is_refused(tmp_path: Path) -> None:
    folder = whole_checkpoints.write_llama(tmp_path / "whole")
    training = {"pretrained": str(folder)}
    same = whole_checkpoints.write_llama(tmp_path / "same")
    assert outputs(tmp_path, training=training, tokenizer=str(same))["corpus"]["tokenizer"] == str(folder)
    (same / "tokenizer.json").write_bytes(small.byte_level("llama3"))
    (tmp_path / "tokenizer.model").write_bytes(small.sentencepiece_model())
    for other in (same, tmp_path / "tokenizer.model"):
        with pytest.raises(UserError, match=r"is not the tokenizer of training.pretrained .*; leave tokenizer out"):
            outputs(tmp_path, training=training, tokenizer=str(other))


def test_a_tokenizer_that_does_not_fit_the_embedding_is_refused(tmp_path: Path) -> None:
    folder = whole_checkpoints.write_llama(tmp_path / "whole", vocab_size=400)
    with pytest.raises(UserError, match=r"whole: the tokenizer has \d+ tokens, but the model only 400; copy both from"):
        outputs(tmp_path, training={"pretrained": str(folder)})


def test_a_chat_template_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="chat needs a pretrained checkpoint's folder"):
        outputs(tmp_path, training={}, corpus={"chat": True})


def test_a_checkpoint_without_a_tokenizer_needs_one(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has weights and no tokenizer; copy the tokenizer's files there too"):
        outputs(tmp_path, training={"pretrained": str(folder)})
    (tmp_path / "tokenizer").mkdir()
    for name, content in small.chat_files().items():
        (tmp_path / "tokenizer" / name).write_bytes(content)
    given = str(tmp_path / "tokenizer")
    found = outputs(tmp_path, training={"pretrained": str(folder)}, tokenizer=given)
    assert found["corpus"]["tokenizer"] == given
