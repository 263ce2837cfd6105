"""Which tensors of a SavedModel are its text, and a wrapper that gives them Seqline's names.

Evaluation and serving call `serving_default` with `text` and read `text` and `score`, each of shape (texts,).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.errors import UserError

SIGNATURE = "serving_default"
TEXT, SCORE = "text", "score"


@dataclass(frozen=True)
class Tensors:
    """The tensors of a signature from text to text.

    Attributes:
        text: The input, a string for each text.
        output: The output, a string for each text.
        score: A number for each output; empty if the model has none.
        column: Whether the input has the shape (texts, 1).
    """

    text: str
    output: str
    score: str = ""
    column: bool = False

    @property
    def ours(self) -> bool:
        """Whether evaluation and serving can call the signature as it is."""
        return (self.text, self.output, self.score, self.column) == (TEXT, TEXT, SCORE, False)


def find_tensors(model: Path) -> Tensors:
    """Finds the text of a SavedModel's signature, without loading the model.

    Args:
        model: The SavedModel's folder.

    Raises:
        UserError: If it is not a SavedModel, or its signature does not take text and return text.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework import types_pb2
    from tensorflow.core.protobuf import saved_model_pb2

    file = model / "saved_model.pb"
    if not file.is_file():
        raise UserError(
            f"{model} contains no SavedModel: saved_model.pb is missing; name the folder that tf.saved_model.save or "
            "Keras's model.export wrote"
        )
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
        signatures = saved.meta_graphs[0].signature_def
    except (DecodeError, IndexError):
        raise UserError(f"{file} is damaged: it is not a SavedModel; copy or export the model again") from None
    if SIGNATURE not in signatures:
        known = ", ".join(sorted(name for name in signatures if not name.startswith("__")))
        others = f", only {known}" if known else " and no other"
        raise UserError(
            f"{model} has no signature {SIGNATURE!r}{others}; save it with signatures={{'{SIGNATURE}': ...}}"
        )
    signature = signatures[SIGNATURE]
    inputs, strings = dict(signature.inputs), types_pb2.DT_STRING
    if len(inputs) != 1 or next(iter(inputs.values())).dtype != strings:
        raise UserError(f"{model}: {SIGNATURE} must take one tensor of strings, but takes {_listed(inputs)}")
    (name, given) = next(iter(inputs.items()))
    shape = None if given.tensor_shape.unknown_rank else [one.size for one in given.tensor_shape.dim]
    if shape not in (None, [-1], [-1, 1]):
        raise UserError(
            f"{model}: the input {name} of {SIGNATURE} has shape {shape}; it must take any number of texts, shape "
            "[None]"
        )
    texts = [key for key, one in signature.outputs.items() if one.dtype == strings]
    output = TEXT if TEXT in texts else texts[0] if len(texts) == 1 else ""
    if not output:
        raise UserError(
            f"{model}: {SIGNATURE} must return one tensor of strings, or one called {TEXT!r}, but returns "
            f"{_listed(signature.outputs)}"
        )
    scored = SCORE in signature.outputs and signature.outputs[SCORE].dtype == types_pb2.DT_FLOAT
    return Tensors(name, output, SCORE if scored else "", shape == [-1, 1])


def tensorflow_version(model: Path) -> str:
    """The version of TensorFlow that wrote a SavedModel.

    Args:
        model: The SavedModel's folder.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    return str(saved.meta_graphs[0].meta_info_def.tensorflow_version)


def wrap(model: Path, tensors: Tensors, output: Path) -> None:
    """Saves a model with a signature of Seqline's names; a model without a score gets 0.

    Args:
        model: The SavedModel's folder.
        tensors: From `find_tensors`.
        output: The folder to write.

    Raises:
        UserError: If TensorFlow cannot load the model.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers ops of tokenizers)

    try:
        loaded = tf.saved_model.load(str(model))
    except (OSError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{model} does not load with TensorFlow {tf.__version__}: {reason}") from error

    class Adopted(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.loaded = loaded  # owns the variables and tables

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=TEXT)])
        def serve(self, text: Any) -> dict[str, Any]:
            found = loaded.signatures[SIGNATURE](**{tensors.text: text[:, None] if tensors.column else text})
            score = tf.reshape(found[tensors.score], (-1,)) if tensors.score else tf.zeros(tf.shape(text)[0])
            return {TEXT: tf.reshape(found[tensors.output], (-1,)), SCORE: score}

    adopted = Adopted()
    tf.saved_model.save(adopted, str(output), signatures={SIGNATURE: adopted.serve})


def _listed(tensors: Mapping[str, Any]) -> str:
    from tensorflow import dtypes

    def shape(one: Any) -> str:
        sizes = ["None" if size.size < 0 else str(size.size) for size in one.tensor_shape.dim]
        return "any shape" if one.tensor_shape.unknown_rank else f"[{', '.join(sizes)}]"

    found = (f"{name} ({dtypes.as_dtype(one.dtype).name} {shape(one)})" for name, one in sorted(tensors.items()))
    return ", ".join(found) or "nothing"
