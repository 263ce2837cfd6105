"""The checkpoint that training leaves, and its layout.

checkpoint/
config.json        the model's shape, and where it comes from
model.weights.h5   Keras weights
tokenizer.model    the corpus's SentencePiece model
history.json       one entry an epoch
logs/              TensorBoard
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.errors import UserError


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """`{"model": {...}, "corpus_fingerprint", "source_language", "target_language"}`."""
        return self.path / "config.json"

    @property
    def weights(self) -> Path:
        """The Keras weights file."""
        return self.path / "model.weights.h5"

    @property
    def tokenizer(self) -> Path:
        """The SentencePiece model."""
        return self.path / "tokenizer.model"

    @property
    def history(self) -> Path:
        """A list with one object an epoch: loss, valid_loss, valid_accuracy, tokens_per_second and so on."""
        return self.path / "history.json"

    @property
    def logs(self) -> Path:
        """TensorBoard's folder."""
        return self.path / "logs"

    def read_config(self) -> dict[str, Any]:
        """Returns what config.json holds.

        Raises:
            UserError: If the folder is no complete checkpoint.
        """
        for file in (self.config, self.weights, self.tokenizer):
            if not file.is_file():
                raise UserError(f"{self.path} is no complete checkpoint: {file.name} is missing; train again")
        try:
            config = json.loads(self.config.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise UserError(f"{self.config} is not JSON (line {error.lineno}); train again") from None
        if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
            raise UserError(f"{self.config} describes no model; train again")
        return config
