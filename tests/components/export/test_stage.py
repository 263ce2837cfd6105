import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest
import tensorflow as tf

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.artifacts.exported_model import Decoding, ExportedModel
from seqline.components.export.agreement import check_agreement
from seqline.components.export.card import write_card
from seqline.components.export.options import DecodingOptions, ModelCardOptions
from seqline.components.export.program import Program
from seqline.components.export.stage import export, fingerprint, resolve
from seqline.components.export.verify import foreign_ops
from seqline.errors import UserError
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig


@pytest.fixture(scope="module")
def signature(loaded_model: Any) -> Any:
    return loaded_model.signatures["serving_default"]


@pytest.mark.parametrize("texts", [[], ["red house"], ["red house", "", "two trees and one river", "☃ " * 300]])
def test_any_batch_of_any_text_has_outputs(signature: Any, texts: list[str]) -> None:
    outputs = signature(text=tf.constant(texts, tf.string))
    assert outputs["text"].shape == (len(texts),)
    assert outputs["score"].shape == (len(texts),)
    for output in outputs["text"].numpy():
        output.decode()


def test_an_output_does_not_depend_on_its_batch(signature: Any) -> None:
    texts = ["red house", "two green trees and three blue houses", "one", "river and river"]
    together = signature(text=tf.constant(texts))["text"].numpy().tolist()
    alone = [signature(text=tf.constant([text]))["text"].numpy()[0] for text in texts]
    assert together == alone


def test_the_graph_has_only_ops_that_a_model_server_provides(exported_model: Path) -> None:
    assert foreign_ops(exported_model) == []


def test_a_program_that_differs_from_the_trained_model_is_rejected(
    exported_model: Path, checkpoint: Path, loaded_model: Any
) -> None:
    trained = Checkpoint(checkpoint)
    model = make_model(TransformerConfig.from_dict(trained.read_config().model))
    model.load_weights(trained.weights)
    program = Program(model, trained.tokenizer, ExportedModel(exported_model).read_description().decoding)
    parameters, texts = loaded_model.signatures["parameters"], ["red house", "two green trees"]
    check_agreement(model, program, parameters, texts)
    model.embedding.assign(model.embedding[::-1])
    with pytest.raises(RuntimeError, match=r"for '.*' the exported model returns .* but the trained model returns"):
        check_agreement(model, program, parameters, texts)


@pytest.mark.e2e
def test_a_gpt_is_exported_with_int8_weights(
    exported_model: Path, checkpoint: Path, corpus: Path, tmp_path: Path
) -> None:
    import tensorflow_text  # noqa: F401 (registers its ops)

    shutil.copytree(checkpoint, tmp_path / "gpt")
    copied = Checkpoint(tmp_path / "gpt")
    shape = {"architecture": "gpt", "encoder_layers": 0, "decoder_layers": 1, "positions": "rotary", "max_length": 24}
    config = copied.read_config()
    config = replace(config, model={**config.model, **shape})
    config.write(copied.config)
    make_model(TransformerConfig.from_dict(config.model)).save_weights(copied.weights)
    description = export(copied.path, corpus, tmp_path / "out", DecodingOptions(beam_size=2, weight_dtype="int8"))
    assert (description.decoding.max_input_length, description.decoding.max_output_length) == (24, 24)
    outputs = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"](text=tf.constant(["red", ""]))
    assert outputs["text"].shape == (2,)
    assert size(tmp_path / "out") < size(exported_model) / 2


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "variables").iterdir())


def test_warm_up_requests_have_the_format_of_tensorflow_serving(exported_model: Path, loaded_model: Any) -> None:
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    file = exported_model / "assets.extra" / "tf_serving_warmup_requests"
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    for log, size in zip(logs, (1, 8), strict=True):
        request = log.predict_log.request
        assert request.model_spec.signature_name == "serving_default"
        texts = tf.make_ndarray(request.inputs["text"])
        assert loaded_model.signatures["serving_default"](text=tf.constant(texts))["text"].shape == (size,)


def test_the_card_has_the_known_facts_and_names_missing_ones(
    exported_model: Path, checkpoint: Path, corpus: Path
) -> None:
    description = ExportedModel(exported_model).read_description()
    written = (exported_model / "model_card.md").read_text(encoding="utf-8")
    pairs = Corpus(corpus).read_manifest().counts.train
    for known in (f"- Pairs: {pairs} train", "- valid_loss: ", "- beam_size: 2", "The data has no slices"):
        assert known in written
    assert description.corpus_fingerprint in written
    assert "Licence of the data: not stated; set `model_card.data_license`" in written
    options = ModelCardOptions(license="Apache-2.0", data_license="CC0", intended_use="games")
    stated = write_card(description, Checkpoint(checkpoint), Corpus(corpus), options)
    assert "Licence of the model: Apache-2.0" in stated
    assert "Intended use: games" in stated


def test_the_same_weights_have_the_same_fingerprint(exported_model: Path, checkpoint: Path, tmp_path: Path) -> None:
    description = ExportedModel(exported_model).read_description()
    copied = Checkpoint(shutil.copytree(checkpoint, tmp_path / "copy"))
    assert fingerprint(copied, description.decoding) == description.fingerprint
    assert fingerprint(copied, Decoding(beam_size=1)) != description.fingerprint
    with h5py.File(copied.weights, "r+") as file:
        next(find(file))[0] += 1e-3
    assert fingerprint(copied, description.decoding) != description.fingerprint


@pytest.mark.parametrize(
    ("max_tokens", "max_length", "options", "limits"),
    [
        (512, 512, {}, (512, 512)),
        (64, 512, {}, (128, 128)),
        (512, 300, {}, (300, 300)),
        (64, 40, {}, (40, 40)),
        (512, 512, {"max_input_length": 256, "max_output_length": 16}, (256, 16)),
        (512, 200, {"max_input_length": 256, "max_output_length": 201}, (200, 200)),
    ],
)
def test_limits_come_from_the_options_then_the_corpus_and_never_exceed_the_model(
    corpus: Path, max_tokens: int, max_length: int, options: dict[str, int], limits: tuple[int, int]
) -> None:
    manifest = Corpus(corpus).read_manifest()
    manifest = replace(manifest, options={**manifest.options, "max_tokens": max_tokens})
    config = TransformerConfig(vocabulary_size=8, max_length=max_length)
    decoding = resolve(DecodingOptions(**options), config, manifest)
    assert (decoding.max_input_length, decoding.max_output_length) == limits


def test_a_model_of_a_corpus_of_long_pairs_reads_long_inputs(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    import tensorflow_text  # noqa: F401 (registers its ops)

    long_corpus = Corpus(shutil.copytree(corpus, tmp_path / "corpus"))
    manifest = json.loads(long_corpus.manifest.read_text())
    manifest["options"]["max_tokens"] = 512
    long_corpus.manifest.write_text(json.dumps(manifest))
    trained = Checkpoint(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    config = trained.read_config()
    replace(config, model={**config.model, "max_length": 300}).write(trained.config)
    options = DecodingOptions(beam_size=1, max_output_length=8)
    description = export(trained.path, long_corpus.path, tmp_path / "out", options)
    assert (description.decoding.max_input_length, description.decoding.max_output_length) == (300, 8)
    signature = tf.saved_model.load(str(tmp_path / "out")).signatures["serving_default"]
    texts = tf.constant(["red " * 200, "red " * 400])
    assert signature(text=texts)["cut"].numpy().tolist() == [False, True]


def find(group: h5py.Group) -> Iterator[h5py.Dataset]:
    for item in group.values():
        yield from [item] if isinstance(item, h5py.Dataset) else find(item)


def test_an_incomplete_checkpoint_is_rejected(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "cut")
    (tmp_path / "cut" / "model.weights.h5").unlink()
    with pytest.raises(UserError, match=r"cut is no complete checkpoint: model\.weights\.h5 is missing"):
        export(tmp_path / "cut", corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_of_another_shape_are_rejected(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    config.write_text(config.read_text().replace('"intermediate_dim": 256', '"intermediate_dim": 64'))
    with pytest.raises(UserError, match="does not fit"):
        export(tmp_path / "other", corpus, tmp_path / "out")


def test_a_folder_without_a_model_is_rejected(tmp_path: Path) -> None:
    assert not ExportedModel(tmp_path).exists
    with pytest.raises(UserError, match=r"model\.json is missing"):
        ExportedModel(tmp_path).read_description()
