"""SavedModels without TensorFlow's Python loader: the same outputs, and TensorFlow's loader for all others."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline import saved_models
from seqline.accelerators import multiplies_bfloat16

LIGHT = """
import json, sys
from pathlib import Path
from seqline.lean_tensorflow import import_lean, load_text_ops, set_threads
import_lean()
load_text_ops()
set_threads(1, 2)
import tensorflow as tf
from seqline import saved_models

folder, calls = Path(sys.argv[1]), json.loads(sys.argv[2])
signatures = saved_models.load_signatures(folder)
found = []
for name, inputs in calls:
    specs = signatures[name].structured_input_signature[1]
    given = {key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()}
    outputs = signatures[name](**given)
    found.append({key: [str(one) for one in value.numpy().ravel()] for key, value in outputs.items()})
kinds = sorted({type(signature).__name__ for signature in signatures.values()})
heavy = sorted({"tensorflow.python.ops.math_ops", "tensorflow.python.saved_model.load"} & set(sys.modules))
print(json.dumps([sorted(signatures), kinds, heavy, found]))
"""


class Everything(tf.Module):
    """A model with each kind of tensor that a function can capture, and functions within functions."""

    def __init__(self, vocabulary: Path) -> None:
        super().__init__()
        self.layers = [tf.Variable([[2.0, 0.5]]), {"bias": tf.Variable(1.5), "count": tf.Variable(3, dtype=tf.int64)}]
        keys_and_values = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([10, 20], tf.int64))
        self.known = tf.lookup.StaticHashTable(keys_and_values, -1)
        line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        words = tf.lookup.TextFileInitializer(str(vocabulary), tf.string, line, tf.int64, number)
        self.words = tf.lookup.StaticHashTable(words, -1)
        self.shift = tf.constant([0.25])

    @tf.function
    def doubled(self, count: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(lambda i, _: i < count, lambda i, x: (i + 1, x * 2), (0, value))[1]

    @tf.function
    def call(self, text: tf.Tensor, times: tf.Tensor) -> dict[str, tf.Tensor]:
        weights, others = self.layers
        values = self.doubled(times, weights + others["bias"] + self.shift)
        numbers = self.known.lookup(text) + self.words.lookup(text) + others["count"]
        return {"values": values, "numbers": numbers, "again": tf.strings.upper(text)}


def light(folder: Path, calls: list[tuple[str, dict[str, Any]]]) -> Any:
    command = [sys.executable, "-c", LIGHT, str(folder), json.dumps(calls)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def by_tensorflow(folder: Path, calls: list[tuple[str, dict[str, Any]]]) -> list[dict[str, list[str]]]:
    loaded = tf.saved_model.load(str(folder))
    found = []
    for name, inputs in calls:
        signature = loaded.signatures[name]
        specs = signature.structured_input_signature[1]
        outputs = signature(**{key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()})
        found.append({key: [str(one) for one in value.numpy().ravel()] for key, value in outputs.items()})
    return found


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("everything")
    (folder / "words.txt").write_text("b\nc\n")
    module = Everything(folder / "words.txt")
    module.layers[0].assign([[7.0, -1.0]])
    concrete = module.call.get_concrete_function(
        text=tf.TensorSpec([None], tf.string), times=tf.TensorSpec([], tf.int32)
    )
    tf.saved_model.save(module, str(folder / "model"), signatures={"serving_default": concrete})
    (folder / "words.txt").unlink()  # the model has a copy
    return folder / "model"


def test_a_model_answers_as_tensorflow_loads_it(everything: Path) -> None:
    calls = [("serving_default", {"text": ["a", "b", "c", "d"], "times": times}) for times in (0, 3)]
    names, kinds, heavy, found = light(everything, calls)
    assert (names, kinds, heavy) == (["serving_default"], ["Signature"], [])
    assert found == by_tensorflow(everything, calls)
    assert found[0]["numbers"] == ["12", "23", "3", "1"]
    np.testing.assert_allclose([float(one) for one in found[1]["values"]], [70.0, 6.0])


def test_an_exported_model_answers_as_tensorflow_loads_it(exported_model: Path) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("serving_default", {"text": ["red house", "", "three green rivers"]}),
        ("score", {"source": ["red house"], "target": ["rotes Haus"]}),
        ("stream_start", {"text": ["red house"]}),
    ]
    names, kinds, heavy, found = light(exported_model, calls)
    assert {"serving_default", "parameters", "score", "stream_next"} <= set(names)
    assert (kinds, heavy) == (["Signature"], [])
    assert found == by_tensorflow(exported_model, calls)


def test_a_second_model_of_a_process_is_left_to_tensorflow(everything: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_models, "_loaded", [everything])
    signature = saved_models.load_signatures(everything)["serving_default"]
    assert not isinstance(signature, saved_models.Signature)
    assert signature(text=tf.constant(["a"]), times=tf.constant(0))["numbers"].numpy().tolist() == [12]


class Growing(tf.Module):
    """A model with a table whose content is in the checkpoint, as that of no tokenizer is."""

    def __init__(self) -> None:
        super().__init__()
        self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        self.table.insert(tf.constant(["a"]), tf.constant([5], tf.int64))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def call(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"numbers": self.table.lookup(text)}


def test_a_model_with_anything_else_is_left_to_tensorflow(tmp_path: Path) -> None:
    module = Growing()
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.call})
    calls = [("serving_default", {"text": ["a", "b"]})]
    _, kinds, _, found = light(tmp_path, calls)
    assert found == by_tensorflow(tmp_path, calls) == [{"numbers": ["5", "-1"]}]
    assert kinds == ["_WrapperFunction"]


class Twins(tf.Module):
    """A signature and its twin, which say their type; a product of rows with bfloat16 weights, if there are some."""

    def __init__(self, kernel: np.ndarray | None = None) -> None:
        super().__init__()
        self.kernel = None if kernel is None else tf.Variable(tf.constant(kernel, tf.bfloat16))

    def call(self, kind: tf.DType, text: tf.Tensor) -> dict[str, tf.Tensor]:
        found = {"kind": tf.constant(kind.name), "text": text}
        if self.kernel is not None:
            rows = tf.cast(tf.ones((4, len(self.kernel))) * 1.003, kind)  # 1 in bfloat16
            found["values"] = tf.cast(tf.matmul(rows, tf.cast(self.kernel, kind)), tf.float32)
        return found

    def save(self, folder: Path) -> Path:
        signatures = {
            name: tf.function(functools.partial(self.call, kind)).get_concrete_function(
                text=tf.TensorSpec([None], tf.string, "text")
            )
            for name, kind in (("serving_default", tf.float32), ("serving_default_bfloat16", tf.bfloat16))
        }
        tf.saved_model.save(self, str(folder), signatures=signatures)
        return folder


NATIVE = """
import json, sys
from pathlib import Path
from seqline import accelerators, saved_models
import tensorflow as tf

model, info, driver, portable = sys.argv[1:]
accelerators.CPU_INFO, saved_models.DRIVER = Path(info), Path(driver)
signatures = saved_models.load_signatures(Path(model), bool(portable))
(loaded,) = {type(signature).__name__ for signature in signatures.values()}
outputs = signatures["serving_default"](text=tf.constant(["a"]))
values = outputs["values"].numpy().tolist() if "values" in outputs else None
print(json.dumps([sorted(signatures), loaded, outputs["kind"].numpy().decode(), values]))
"""


def native(
    folder: Path, twins: Twins, flags: str, gpu: bool = False, one_dnn: str = "1", portable: str = ""
) -> tuple[str, Any]:
    """Loads twins on a machine like this; returns the type of the called one and its values."""
    info, driver = folder / "cpuinfo", folder if gpu else folder / "none"
    info.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n")
    done = subprocess.run(
        [sys.executable, "-c", NATIVE, str(twins.save(folder / "model")), str(info), str(driver), portable],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": one_dnn},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    names, loaded, kind, values = json.loads(done.stdout.splitlines()[-1])
    assert (names, loaded) == (["serving_default"], "Signature")
    return kind, values


@pytest.mark.parametrize(
    ("flags", "gpu", "one_dnn", "portable", "kind"),
    [
        ("fpu avx2 avx512_bf16", False, "1", "", "bfloat16"),
        ("fpu amx_bf16", False, "1", "", "bfloat16"),
        ("fpu avx2 avx512f", False, "1", "", "float32"),
        ("fpu avx2 avx512_bf16", True, "1", "", "float32"),
        ("fpu avx2 avx512_bf16", False, "0", "", "float32"),
        ("fpu avx2 avx512_bf16", False, "1", "portable", "float32"),
    ],
)
def test_the_twin_in_bfloat16_is_called_where_the_processor_multiplies_it(
    flags: str, gpu: bool, one_dnn: str, portable: str, kind: str, tmp_path: Path
) -> None:
    assert native(tmp_path, Twins(), flags, gpu, one_dnn, portable) == (kind, None)


@pytest.mark.skipif(not multiplies_bfloat16(), reason="the processor does not multiply bfloat16")
def test_the_twin_multiplies_in_bfloat16_with_sums_in_float32(tmp_path: Path) -> None:
    twins = Twins(np.linspace(0.1, 0.7, 4096, dtype=np.float32).reshape(512, 8))
    kind, values = native(tmp_path, twins, "avx512_bf16")
    assert kind == "bfloat16"
    np.testing.assert_allclose(values[0], twins.kernel.numpy().astype(np.float64).sum(axis=0), rtol=2**-8)
