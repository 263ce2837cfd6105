import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
import tensorflow as tf

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.artifacts.exported_model import Decoding, ExportedModel, Statements
from seqline.components.export.agreement import check_agreement
from seqline.components.export.card import write_card
from seqline.components.export.program import Program
from seqline.components.export.stage import export, fingerprint
from seqline.components.export.verify import foreign_ops
from seqline.errors import UserError
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig


@pytest.fixture(scope="module")
def signature(loaded_model: Any) -> Any:
    return loaded_model.signatures["serving_default"]


@pytest.mark.parametrize("texts", [[], ["red house"], ["red house", "", "two trees and one river", "☃ " * 300]])
def test_any_batch_of_any_text_is_answered(signature: Any, texts: list[str]) -> None:
    answers = signature(text=tf.constant(texts, tf.string))
    assert answers["text"].shape == (len(texts),)
    assert answers["score"].shape == (len(texts),)
    for answer in answers["text"].numpy():
        answer.decode()


def test_an_answer_does_not_depend_on_its_batch(signature: Any) -> None:
    texts = ["red house", "two green trees and three blue houses", "one", "river and river"]
    together = signature(text=tf.constant(texts))["text"].numpy().tolist()
    alone = [signature(text=tf.constant([text]))["text"].numpy()[0] for text in texts]
    assert together == alone


def test_only_ops_that_a_model_server_links(exported_model: Path) -> None:
    assert foreign_ops(exported_model) == []


def test_a_program_that_decodes_otherwise_than_it_was_trained_does_not_leave(
    exported_model: Path, checkpoint: Path, loaded_model: Any
) -> None:
    trained = Checkpoint(checkpoint)
    model = make_model(TransformerConfig.from_dict(trained.read_config()["model"]))
    model.load_weights(trained.weights)
    program = Program(model, trained.tokenizer, ExportedModel(exported_model).read_description().decoding)
    parameters, texts = loaded_model.signatures["parameters"], ["red house", "two green trees"]
    check_agreement(model, program, parameters, texts)
    model.embedding.assign(model.embedding[::-1])
    with pytest.raises(RuntimeError, match=r"exported, the model answers '.*' with .* as it was trained, with"):
        check_agreement(model, program, parameters, texts)


@pytest.mark.e2e
def test_a_gpt_is_exported_with_weights_of_a_byte(
    exported_model: Path, checkpoint: Path, corpus: Path, tmp_path: Path
) -> None:
    import tensorflow_text  # noqa: F401 (registers its ops)

    shutil.copytree(checkpoint, tmp_path / "gpt")
    copied = Checkpoint(tmp_path / "gpt")
    config = copied.read_config()
    shape = {"architecture": "gpt", "encoder_layers": 0, "decoder_layers": 1, "positions": "rotary", "max_length": 24}
    config["model"].update(shape)
    copied.config.write_text(json.dumps(config))
    make_model(TransformerConfig.from_dict(config["model"])).save_weights(copied.weights)
    description = export(copied.path, corpus, tmp_path / "out", Decoding(beam_size=2, weights="int8"))
    assert (description.decoding.max_input_length, description.decoding.max_output_length) == (24, 24)
    answers = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"](text=tf.constant(["red", ""]))
    assert answers["text"].shape == (2,)
    assert size(tmp_path / "out") < size(exported_model) / 2


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "variables").iterdir())


def test_warm_up_requests_are_what_tensorflow_serving_reads(exported_model: Path, loaded_model: Any) -> None:
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    file = exported_model / "assets.extra" / "tf_serving_warmup_requests"
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    for log, size in zip(logs, (1, 8), strict=True):
        request = log.predict_log.request
        assert request.model_spec.signature_name == "serving_default"
        texts = tf.make_ndarray(request.inputs["text"])
        assert loaded_model.signatures["serving_default"](text=tf.constant(texts))["text"].shape == (size,)


def test_the_card_says_what_is_known_and_what_nobody_said(exported_model: Path, checkpoint: Path, corpus: Path) -> None:
    description = ExportedModel(exported_model).read_description()
    written = (exported_model / "model_card.md").read_text(encoding="utf-8")
    pairs = Corpus(corpus).read_manifest().counts.train
    for known in (f"- Pairs: {pairs} train", "- valid_loss: ", "- beam_size: 2", "names no slices"):
        assert known in written
    assert description.corpus_fingerprint in written
    assert "Licence of the data: not stated; whoever trained the model should say so (`data_license`)" in written
    said = write_card(description, Checkpoint(checkpoint), Corpus(corpus), Statements("Apache-2.0", "CC0", "games"))
    assert "Licence of the model: Apache-2.0" in said
    assert "Intended use: games" in said


def test_the_same_weights_have_the_same_fingerprint(exported_model: Path, checkpoint: Path, tmp_path: Path) -> None:
    description = ExportedModel(exported_model).read_description()
    copied = Checkpoint(shutil.copytree(checkpoint, tmp_path / "copy"))
    assert fingerprint(copied, description.decoding) == description.fingerprint
    assert fingerprint(copied, Decoding(beam_size=1)) != description.fingerprint
    with h5py.File(copied.weights, "r+") as file:
        next(find(file))[0] += 1e-3
    assert fingerprint(copied, description.decoding) != description.fingerprint


def find(group: h5py.Group) -> Iterator[h5py.Dataset]:
    for item in group.values():
        yield from [item] if isinstance(item, h5py.Dataset) else find(item)


def test_an_incomplete_checkpoint_is_named(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "cut")
    (tmp_path / "cut" / "model.weights.h5").unlink()
    with pytest.raises(UserError, match=r"cut is no complete checkpoint: model\.weights\.h5 is missing"):
        export(tmp_path / "cut", corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_of_another_shape_are_named(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    config.write_text(config.read_text().replace('"intermediate_dim": 256', '"intermediate_dim": 64'))
    with pytest.raises(UserError, match="does not fit"):
        export(tmp_path / "other", corpus, tmp_path / "out")


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    assert not ExportedModel(tmp_path).exists
    with pytest.raises(UserError, match=r"model\.json is missing"):
        ExportedModel(tmp_path).read_description()
