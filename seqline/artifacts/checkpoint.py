"""The checkpoint that training writes, and its layout.

checkpoint/
  config.json        the model's configuration, training options, corpus and languages
  model.weights.h5   Keras weights
  tokenizer.model    the corpus's tokenizer; or tokenizer.json
  history.json       one entry an epoch
  logs/              TensorBoard
  adapter/           of fine_tuning lora: the adapter in the format of PEFT, which is merged into the weights
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from seqline.artifacts.record import Record, Schema
from seqline.artifacts.text_tokenizer import tokenizer_file
from seqline.buckets import patiently
from seqline.errors import UserError
from seqline.modeling.config import OLD_NAMES, PRESETS, TransformerConfig
from seqline.schema.renamed import RENAMED

OLD_OPTIONS = {old: new.partition(".")[2] for old, new in RENAMED.items() if new.startswith("training.")}
"""Training options as checkpoints of schema version 1 name them."""


@dataclass(frozen=True)
class CheckpointConfig(Record):
    """The content of config.json.

    Attributes:
        model: Fields of the model's configuration, for `TransformerConfig.from_dict`.
        options: Training options by name.
        corpus_fingerprint: Fingerprint of the corpus that the model was trained on.
        source_language: Language of the input.
        target_language: Language of the output.
        chosen: Options that training chose, by name: their value and the reason.
    """

    SCHEMA: ClassVar[Schema] = Schema(
        version=2, remedy="train again, or use the version of Seqline that wrote the checkpoint"
    )

    model: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    corpus_fingerprint: str = ""
    source_language: str = ""
    target_language: str = ""
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def used_options(self) -> dict[str, Any]:
        """The training options with what training chose."""
        return {**self.options, **{name: one["value"] for name, one in self.chosen.items()}}

    @property
    def preset(self) -> str:
        """The preset of the model: the recorded one, or else one of its size; empty if there is none."""
        # A plugin's architecture may have changed the size of its preset; with pretrained weights the option is unused.
        if not self.options.get("pretrained") and (recorded := self.used_options.get("preset")) in PRESETS:
            return str(recorded)
        found = TransformerConfig.from_dict(self.model)
        rest = {"architecture": found.architecture, "vocabulary_size": found.vocabulary_size}
        for name, size in PRESETS.items():
            config = TransformerConfig.preset(name, **rest)
            if all(getattr(config, field) == getattr(found, field) for field in size):
                return name
        return ""

    @classmethod
    def from_json(cls, text: str, origin: str) -> "CheckpointConfig":
        """Reads the file's text; see `Record.from_json`. Model fields and options get their current names.

        Args:
            text: The text.
            origin: Where it comes from, for messages.
        """
        found = super().from_json(text, origin)
        return replace(found, model=_renamed(found.model, OLD_NAMES), options=_renamed(found.options, OLD_OPTIONS))


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The file of `CheckpointConfig`."""
        return self.path / "config.json"

    @property
    def weights(self) -> Path:
        """The Keras weights file."""
        return self.path / "model.weights.h5"

    @property
    def tokenizer(self) -> Path:
        """The corpus's tokenizer."""
        return tokenizer_file(self.path)

    @property
    def adapter(self) -> Path:
        """The folder of the adapter of fine_tuning lora."""
        return self.path / "adapter"

    @property
    def history(self) -> Path:
        """A list with one object an epoch: loss, valid_loss, valid_accuracy, tokens_per_second and so on."""
        return self.path / "history.json"

    @property
    def logs(self) -> Path:
        """TensorBoard's folder."""
        return self.path / "logs"

    def read_config(self) -> CheckpointConfig:
        """Reads config.json, also one of an older version.

        Raises:
            UserError: If the folder is not a complete checkpoint or has a version that is not read.
        """
        for file in (self.config, self.weights, self.tokenizer):
            if not patiently(file.is_file, file):
                raise UserError(f"{self.path} is not a complete checkpoint: {file.name} is missing; train again")
        return CheckpointConfig.read(self.config)


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}
