import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf

from seqline.artifacts.checkpoint import Checkpoint, CheckpointConfig
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
from seqline.sampling.features import Tokens
from seqline.saved_models import in_bfloat16


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


def test_a_gpt_is_exported_with_int8_weights(small_model: Path, loaded_small_model: Any) -> None:
    decoding = ExportedModel(small_model).read_description().decoding
    assert (decoding.weight_dtype, decoding.max_input_length, decoding.max_output_length) == ("int8", 300, 8)
    texts = tf.constant(["red", "", "red " * 200, "red " * 400])
    outputs = loaded_small_model.signatures["serving_default"](text=texts)
    assert outputs["text"].shape == (4,)
    # Its corpus has long pairs, so it reads longer inputs than those of a corpus of short ones.
    assert outputs["cut"].numpy().tolist() == [False, False, False, True]
    with h5py.File(small_model.parent / "checkpoint" / "model.weights.h5") as weights:
        assert size(small_model) < sum(one[()].nbytes for one in find(weights)) / 2


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "variables").iterdir())


def test_weights_in_a_smaller_type_have_signatures_for_processors_that_multiply_bfloat16(
    small_model: Path, loaded_small_model: Any, loaded_model: Any
) -> None:
    signatures = loaded_small_model.signatures
    twins = sorted(in_bfloat16(name) for name in signatures if in_bfloat16(name) in signatures)
    assert twins == [in_bfloat16(name) for name in ("parameters", "serving_default", "stream_next", "stream_start")]
    texts = tf.constant(["red house", "two green trees"])
    scores = [signatures[name](text=texts)["score"].numpy() for name in ("serving_default", twins[1])]
    np.testing.assert_allclose(scores[0], scores[1], rtol=0.02)
    described = (small_model / "signatures.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in described for name in twins)
    # Of float32 there is nothing to gain without other results.
    assert not any("bfloat16" in name for name in loaded_model.signatures)


def test_the_model_holds_no_function_beside_its_signatures(loaded_small_model: Any) -> None:
    # Each is another copy of a search, which a server loads.
    kinds = (tf.types.experimental.GenericFunction, tf.types.experimental.PolymorphicFunction)
    values = {name: getattr(loaded_small_model, name, None) for name in dir(loaded_small_model)}
    assert [name for name, value in values.items() if isinstance(value, kinds)] == []


def test_warm_up_requests_have_the_format_of_tensorflow_serving(exported_model: Path, loaded_model: Any) -> None:
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    file = exported_model / "assets.extra" / "tf_serving_warmup_requests"
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    for log, size in zip(logs, (1, 8), strict=True):
        request = log.predict_log.request
        assert request.model_spec.signature_name == "serving_default"
        texts = tf.make_ndarray(request.inputs["text"])
        assert loaded_model.signatures["serving_default"](text=tf.constant(texts))["text"].shape == (size,)


def test_the_tokenizer_beside_the_graph_gives_its_tokens(exported_model: Path, loaded_model: Any, corpus: Path) -> None:
    tokens = Tokens.of_model(exported_model)
    assert tokens is not None
    texts = [pair["source"] for pair in Corpus(corpus).read_text("valid")[:4]] + [" a\tb\u200bc ", "犬"]
    counted = loaded_model.signatures["stream_start"](text=tf.constant(texts))["input_tokens"].numpy().tolist()
    # The graph counts the end of the text too.
    assert [len(row) + 1 for row in tokens.of(texts)] == counted


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


def untrained(folder: Path, **model: Any) -> Checkpoint:
    """A complete checkpoint without a model that fits it."""
    folder.mkdir()
    checkpoint = Checkpoint(folder)
    CheckpointConfig(model={"hidden_dim": 2, **model}).write(checkpoint.config)
    checkpoint.tokenizer.write_bytes(b"pieces")
    with h5py.File(checkpoint.weights, "w") as file:
        file["layers/0"], file["layers/1"] = [1.0, 2.0], [3.0]
    return checkpoint


def set_weight(checkpoint: Checkpoint) -> None:
    with h5py.File(checkpoint.weights, "r+") as file:
        file["layers/0"][0] += 1e-3


def swap_layers(checkpoint: Checkpoint) -> None:
    with h5py.File(checkpoint.weights, "r+") as file:
        file.move("layers/1", "layers/2")


CHANGES: dict[str, Callable[[Checkpoint], object]] = {
    "tokenizer": lambda checkpoint: checkpoint.tokenizer.write_bytes(b"other pieces"),
    "shape": lambda checkpoint: CheckpointConfig(model={"hidden_dim": 4}).write(checkpoint.config),
    "weight": set_weight,
    "layer": swap_layers,
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_the_outputs_changes_the_fingerprint(tmp_path: Path, change: str) -> None:
    decoding = Decoding()
    one, other = untrained(tmp_path / "one"), untrained(tmp_path / "other")
    assert fingerprint(one, decoding) == fingerprint(other, decoding)
    CHANGES[change](other)
    assert fingerprint(one, decoding) != fingerprint(other, decoding)


@pytest.mark.parametrize("name", [field.name for field in fields(Decoding)])
def test_every_decoding_option_is_in_the_fingerprint(tmp_path: Path, name: str) -> None:
    checkpoint, decoding = untrained(tmp_path / "one"), Decoding()
    value = {"weight_dtype": "int8", "early_stop": False}.get(name, 7)
    other = replace(decoding, **{name: value})
    assert fingerprint(checkpoint, decoding) != fingerprint(checkpoint, other)


def test_what_does_not_change_the_outputs_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    one, other = untrained(tmp_path / "one"), untrained(tmp_path / "other")
    replace(other.read_config(), options={"epochs": 3}, corpus_fingerprint="c").write(other.config)
    other.history.write_text("[]")
    assert fingerprint(one, Decoding()) == fingerprint(other, Decoding())


def test_the_exported_model_has_the_fingerprint_of_its_checkpoint(exported_model: Path, checkpoint: Path) -> None:
    description = ExportedModel(exported_model).read_description()
    assert fingerprint(Checkpoint(checkpoint), description.decoding) == description.fingerprint


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


@pytest.mark.parametrize(
    ("task", "max_tokens", "limit"),
    [("summarization", 64, 65), ("question_answering", 300, 301), ("translation", 64, 128), ("translation", 300, 301)],
)
def test_an_input_is_truncated_to_the_tokens_that_training_saw(
    corpus: Path, task: str, max_tokens: int, limit: int
) -> None:
    manifest = Corpus(corpus).read_manifest()
    manifest = replace(manifest, options={**manifest.options, "task": task, "max_tokens": max_tokens})
    config = TransformerConfig(vocabulary_size=8, max_length=512)
    # With the end of the sentence.
    assert resolve(DecodingOptions(), config, manifest).max_input_length == limit


def find(group: h5py.Group) -> Iterator[h5py.Dataset]:
    for item in group.values():
        yield from [item] if isinstance(item, h5py.Dataset) else find(item)


def test_an_incomplete_checkpoint_is_rejected(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "cut")
    (tmp_path / "cut" / "model.weights.h5").unlink()
    with pytest.raises(UserError, match=r"cut is not a complete checkpoint: model\.weights\.h5 is missing"):
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
