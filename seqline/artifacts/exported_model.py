"""The exported model and its layout.

model/
  saved_model.pb, variables/, assets/   a SavedModel with the tokenizer in its graph
  model.json                            fingerprint, languages and decoding options
  signatures.md                         names, types and meaning of inputs and outputs
  reference.json                        the training sources in figures, with which live traffic is compared
  model_card.md                         data, options, metrics, licences, use, known biases
  assets.extra/                         warm-up requests for TensorFlow Serving, and the tokenizer for programs that
                                        compute tokens without the graph
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AliasChoices, Field

from seqline.artifacts.record import Record, Schema
from seqline.artifacts.text_tokenizer import ChatTemplate, tokenizer_file
from seqline.buckets import patiently
from seqline.errors import UserError

EXTRA = "assets.extra"
"""The folder in which TensorFlow Serving expects what is no part of the SavedModel."""


@dataclass(frozen=True)
class Decoding:
    """How the exported model decodes.

    Attributes:
        beam_size: Hypotheses of the beam search; 1 is greedy.
        length_penalty: Exponent of the length by which a score is divided; 0 for none.
        max_input_length: Longest source in tokens; longer ones are truncated.
        max_output_length: Longest output in tokens.
        early_stop: Whether a sentence is finished once a finished hypothesis scores as high as the best live one does
            now; otherwise once no live one, however it continues, can score higher.
        weight_dtype: How the matrices are stored: float32, bfloat16 or int8. Of the last two, processors that multiply
            bfloat16 do so, see `seqline.saved_models`; else the computation is in float32. Version 1 of model.json
            calls it weights.
        shortlist: Whether it searches among frequent tokens and those linked to the source's tokens only, unless a
            request has its own parameters or streams.
    """

    beam_size: int = 4
    length_penalty: float = 0.6
    max_input_length: int = 128
    max_output_length: int = 128
    early_stop: bool = True
    weight_dtype: Annotated[str, Field(validation_alias=AliasChoices("weight_dtype", "weights"))] = "float32"
    shortlist: bool = False


@dataclass(frozen=True)
class Description(Record):
    """The content of model.json.

    Attributes:
        fingerprint: SHA-256 over weights, shape, tokenizer and decoding: the same model, the same fingerprint.
        source_language: Language of the input.
        target_language: Language of the output.
        decoding: How it decodes; None for a model that Seqline did not export.
        corpus_fingerprint: Fingerprint of the corpus that it was trained on.
        created: Time of the export, ISO 8601.
        tensorflow: Version of TensorFlow that wrote it.
        without_prompt: Whether it generates text without a prompt: then a blank text is an input like any other.
        chat: How a chat of several messages becomes an input; None if the model was not trained with a chat template.
    """

    SCHEMA: ClassVar[Schema] = Schema(
        version=2, remedy="export the model again, or use the version of Seqline that exported it"
    )

    fingerprint: str
    source_language: str
    target_language: str
    decoding: Decoding | None
    corpus_fingerprint: str
    created: str
    tensorflow: str
    without_prompt: bool = False
    chat: ChatTemplate | None = None


@dataclass(frozen=True)
class ExportedModel:
    """An exported model's folder.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def exists(self) -> bool:
        """Whether there is a model: the champion's folder is empty where there is no champion."""
        return (self.path / "saved_model.pb").is_file()

    @property
    def description_file(self) -> Path:
        """The file model.json."""
        return self.path / "model.json"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, also in the graph; missing in models of before it was written beside it."""
        return tokenizer_file(self.path / EXTRA)

    def write_description(self, description: Description) -> None:
        """Writes model.json.

        Args:
            description: Its content.
        """
        description.write(self.description_file)

    def read_description(self) -> Description:
        """Reads model.json, also one of an older version.

        Raises:
            UserError: If the folder contains no exported model, or one that this version cannot read.
        """
        if not patiently(self.description_file.is_file, self.description_file):
            raise UserError(f"{self.path} contains no exported model: model.json is missing; export it again")
        return Description.read(self.description_file)
