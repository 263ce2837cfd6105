"""Models that need no training: SavedModels with the serving signature and a model.json."""

import json
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from seqline.artifacts.exported_model import Decoding, Description, ExportedModel


def save(folder: Path, change: Callable[[tf.Tensor], tf.Tensor]) -> None:
    """Saves a model whose output is `change` of its input."""

    class Toy(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
        def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"text": change(text), "score": tf.zeros(tf.shape(text)[0])}

    toy = Toy()
    tf.saved_model.save(toy, str(folder), signatures={"serving_default": toy.serve})
    description = Description(
        folder.name, "en", "de", Decoding(1, 0.0, 9, 9), "c", "2026-01-01T00:00:00+00:00", tf.__version__
    )
    ExportedModel(folder).write_description(description)


def downgrade(model: Path) -> None:
    """Rewrites model.json as schema version 1 had it."""
    file = ExportedModel(model).description_file
    content = json.loads(file.read_text(encoding="utf-8"))
    content["schema_version"] = 1
    content["decoding"]["weights"] = content["decoding"].pop("weight_dtype")
    file.write_text(json.dumps(content), encoding="utf-8")


TOYS = {"loud": tf.strings.upper, "quiet": tf.strings.lower}
