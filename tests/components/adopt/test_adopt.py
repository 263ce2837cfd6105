"""A SavedModel of any origin becomes the artifact of an exported model, if it takes text and returns text."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seqline.artifacts.exported_model import ExportedModel
from seqline.components.adopt import loading, stage
from seqline.components.adopt.signature import Tensors, find_tensors
from seqline.components.adopt.stage import adopt
from seqline.errors import UserError


@pytest.fixture(autouse=True)
def called_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "problems_of", lambda folder: loading.called(str(folder)))


def save(folder: Path, function: Callable[[Any], dict[str, Any]], shape: Any = (None,), name: str = "inputs") -> Path:
    """Saves a model with a table and a variable, as one with a vocabulary has."""
    import tensorflow as tf

    class Foreign(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            words = tf.lookup.KeyValueTensorInitializer(["one text"], ["ein Text"])
            self.table = tf.lookup.StaticHashTable(words, "?")
            self.one = tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.string, name=name)])
        def serve(self, given: Any) -> dict[str, Any]:
            return function(SimpleNamespace(given=given, table=self.table, one=self.one))

    foreign = Foreign()
    tf.saved_model.save(foreign, str(folder), signatures={"serving_default": foreign.serve})
    return folder


def answers(model: Path, *texts: str) -> tuple[list[str], list[float]]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model))
    found = loaded.signatures["serving_default"](text=tf.constant(texts))
    return [text.decode() for text in found["text"].numpy()], found["score"].numpy().tolist()


@pytest.mark.parametrize("shape", [(None,), (None, 1)])
def test_a_signature_of_other_names_gets_ours(shape: tuple[int | None, ...], tmp_path: Path) -> None:
    model = save(tmp_path / "model", lambda it: {"output_0": it.table.lookup(it.given)}, shape)
    assert find_tensors(model) == Tensors("inputs", "output_0", "", len(shape) == 2)
    made = adopt(str(model), tmp_path / "adopted", source_language="en", target_language="fr")
    shutil.rmtree(model)
    assert answers(tmp_path / "adopted", "one text", "other") == (["ein Text", "?"], [0.0, 0.0])
    assert ExportedModel(tmp_path / "adopted").read_description() == made
    assert (made.target_language, made.decoding, made.tensorflow[:1]) == ("fr", None, "2")


def test_a_signature_of_our_names_is_copied_byte_by_byte(tmp_path: Path) -> None:
    import tensorflow as tf

    model = save(
        tmp_path / "model",
        lambda it: {"text": it.table.lookup(it.given), "score": -it.one * tf.ones(tf.shape(it.given)[0])},
        name="text",
    )
    adopt(str(model), tmp_path / "adopted")
    for file in (path.relative_to(model) for path in model.rglob("*") if path.is_file()):
        assert (tmp_path / "adopted" / file).read_bytes() == (model / file).read_bytes()


def test_the_fingerprint_is_that_of_the_files(tmp_path: Path) -> None:
    model = save(tmp_path / "model", lambda it: {"text": it.table.lookup(it.given)})
    first = adopt(str(model), tmp_path / "1").fingerprint
    shutil.copytree(model, tmp_path / "copy")
    assert adopt(str(tmp_path / "copy"), tmp_path / "2", fingerprint=first).fingerprint == first
    (tmp_path / "copy" / "assets" / "note.txt").write_text("changed")
    with pytest.raises(UserError, match="were changed since snapshot; start the run again"):
        adopt(str(tmp_path / "copy"), tmp_path / "3", fingerprint=first)
    assert adopt(str(tmp_path / "copy"), tmp_path / "4").fingerprint != first


def test_a_model_that_seqline_exported_keeps_its_description(toy_models: SimpleNamespace, tmp_path: Path) -> None:
    made = adopt(str(toy_models.quiet), tmp_path / "adopted", source_language="fr")
    assert made == ExportedModel(toy_models.quiet).read_description()
    assert answers(tmp_path / "adopted", "LOUD")[0] == ["loud"]


def two_strings(it: Any) -> dict[str, Any]:
    return {"best": it.given, "second": it.given}


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (two_strings, (None,), r"must return one tensor of strings, or one called 'text', but returns best \(string"),
        (
            lambda it: {"logits": it.one},
            (None,),
            r"one tensor of strings.*but returns logits \(float32 \[\]",
        ),
        (
            lambda it: {"text": it.given},
            (8,),
            r"inputs of serving_default has shape \[8\]; it must take any",
        ),
        (lambda it: {"text": it.given[:1]}, (None,), "for 3 texts it returns text and score of shapes"),
        (lambda it: {"text": it.given, "score": it.one / 0 * it.given_ones()}, (None,), "not all numbers"),
    ],
)
def test_another_signature_is_refused(
    function: Callable[[Any], dict[str, Any]], shape: Any, message: str, tmp_path: Path
) -> None:
    import tensorflow as tf

    def with_ones(it: Any) -> dict[str, Any]:
        it.given_ones = lambda: tf.ones(tf.shape(it.given)[0])
        return function(it)

    model = save(tmp_path / "model", with_ones, shape)
    with pytest.raises(UserError, match=message):
        adopt(str(model), tmp_path / "adopted")
    assert not (tmp_path / "adopted").exists()


STRING, INT, FLOAT = 7, 9, 1  # of DataType


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"ids": INT}, {"text": STRING}, r"must take one tensor of strings, but takes ids \(int64 any shape\)"),
        (
            {"a": STRING, "b": STRING},
            {"text": STRING},
            "must take one tensor of strings, but takes a .string.*, b .",
        ),
        ({}, {"text": STRING}, "must take one tensor of strings, but takes nothing"),
        ({"text": STRING}, {"logits": FLOAT}, "must return one tensor of strings, or one called 'text', but returns l"),
        ({"text": STRING}, {}, "must return one tensor of strings, or one called 'text', but returns nothing"),
        (None, {}, "has no signature 'serving_default' and no other; save it with signatures="),
    ],
)
def test_a_model_without_text_in_or_text_out_is_refused(
    inputs: dict[str, int] | None, outputs: dict[str, int], message: str, tmp_path: Path
) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    graph = saved.meta_graphs.add()
    if inputs is not None:
        signature = graph.signature_def["serving_default"]
        for tensors, given in ((signature.inputs, inputs), (signature.outputs, outputs)):
            for name, kind in given.items():
                tensors[name].dtype = kind
                tensors[name].tensor_shape.unknown_rank = True
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(UserError, match=message):
        adopt(str(tmp_path / "model"), tmp_path / "adopted")
    assert not (tmp_path / "adopted").exists()


def test_what_is_no_saved_model_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.h5").write_bytes(b"x")
    with pytest.raises(UserError, match=r"contains no SavedModel: saved_model.pb is missing; name the folder that"):
        adopt(str(folder), tmp_path / "adopted")
    (folder / "saved_model.pb").write_bytes(b"\xff\xff no protobuf")
    with pytest.raises(UserError, match=r"is damaged: it is not a SavedModel"):
        adopt(str(folder), tmp_path / "adopted")
    with pytest.raises(UserError, match="model"):
        adopt(str(tmp_path / "missing"), tmp_path / "adopted")


def test_other_signatures_are_named(tmp_path: Path) -> None:
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
        def serve(self, text: Any) -> Any:
            return text

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"translate": module.serve})
    with pytest.raises(UserError, match="no signature 'serving_default', only translate; save it with signatures="):
        adopt(str(tmp_path / "model"), tmp_path / "adopted")


def test_a_process_that_dies_is_a_problem_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading.sys, "executable", "/bin/false")
    assert loading.problems_of(tmp_path) == ["it does not load in a fresh process: exit code 1"]
