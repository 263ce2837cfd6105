"""One loaded SavedModel. Runs in a worker's process; see `components.serve.worker`."""

import math
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers the ops of an exported model)

from components.errors import UserError
from components.serve.answers import Answer, Parameters


class Model:
    """A model that answers. Several threads may ask it at once.

    Args:
        path: The exported model's folder.

    Raises:
        UserError: If the folder holds no SavedModel with the signature `serving_default`.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "saved_model.pb").is_file():
            raise UserError(f"{path} holds no SavedModel: saved_model.pb is missing")
        # The object must outlive its signatures, which refer to its variables weakly.
        self._loaded = tf.saved_model.load(str(path))
        self._signatures: dict[str, Any] = dict(self._loaded.signatures)
        if "serving_default" not in self._signatures:
            raise UserError(f"{path} has no signature serving_default; export the model again")
        self._serving_default = self._signatures["serving_default"]

    def predict(self, texts: list[str], parameters: Parameters) -> list[Answer]:
        """Answers texts.

        Args:
            texts: The inputs.
            parameters: How to decode.

        Returns:
            An answer for each, in their order.

        Raises:
            Exception: Whatever TensorFlow raises.
        """
        outputs = self._serving_default(text=tf.constant(texts, tf.string))
        pairs = zip(outputs["text"].numpy(), outputs["score"].numpy().tolist(), strict=True)
        return [
            Answer(text.decode("utf-8", "replace"), score if math.isfinite(score) else None) for text, score in pairs
        ]
