"""One loaded SavedModel."""

import os
from pathlib import Path
from typing import Any

from components.errors import UserError


class Model:
    """A version that can answer.

    Args:
        path: The exported model's folder.
    """

    def __init__(self, path: Path) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf
        import tensorflow_text  # noqa: F401 (registers its ops)

        if not (path / "saved_model.pb").is_file():
            raise UserError(f"{path} holds no SavedModel: saved_model.pb is missing")
        self._loaded = tf.saved_model.load(str(path))
        self._signature: Any = self._loaded.signatures["serving_default"]

    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        """Answers texts.

        Args:
            texts: The inputs.

        Returns:
            `{"text", "score"}` for each.
        """
        import tensorflow as tf

        answers = self._signature(text=tf.constant(texts, tf.string))
        pairs = zip(answers["text"].numpy(), answers["score"].numpy(), strict=True)
        return [{"text": text.decode("utf-8", "replace"), "score": float(score)} for text, score in pairs]
