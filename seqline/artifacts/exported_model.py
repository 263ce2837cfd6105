"""The exported model and its layout.

model/
saved_model.pb, variables/, assets/   a SavedModel with the tokenizer in its graph
model.json                            what it is and how it decodes
signatures.md                         names, types and meaning of inputs and outputs
model_card.md                         data, options, figures, licences, use, known biases
assets.extra/                         warm-up requests for TensorFlow Serving
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from seqline.errors import UserError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Decoding:
    """How the exported model decodes.

    Attributes:
        beam_size: Hypotheses kept; 1 is greedy.
        length_penalty: Exponent of the length by which a score is divided; 0 for none.
        max_input_length: Longest source in pieces; longer ones are cut at their end.
        max_output_length: Longest output in pieces.
        early_stop: Whether a sentence is finished when an ended hypothesis scores as high as the best live one does
            now; otherwise when no live one, however it goes on, can score higher.
        weight_dtype: How the matrices are stored: float32, bfloat16 or int8; the computation is in float32.
    """

    beam_size: int = 4
    length_penalty: float = 0.6
    max_input_length: int = 128
    max_output_length: int = 128
    early_stop: bool = True
    weight_dtype: str = "float32"


@dataclass(frozen=True)
class Description:
    """What model.json says.

    Attributes:
        fingerprint: SHA-256 over weights, shape, tokenizer and decoding: the same model, the same fingerprint.
        source_language: Language of the input.
        target_language: Language of the output.
        decoding: How it decodes.
        corpus_fingerprint: The corpus that it was trained on.
        created: When it was exported, ISO 8601.
        tensorflow: The TensorFlow that wrote it.
        schema_version: Of this file.
    """

    fingerprint: str
    source_language: str
    target_language: str
    decoding: Decoding
    corpus_fingerprint: str
    created: str
    tensorflow: str
    schema_version: int = SCHEMA_VERSION


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

    def write_description(self, description: Description) -> None:
        """Writes model.json.

        Args:
            description: What to say.
        """
        (self.path / "model.json").write_text(json.dumps(asdict(description), indent=1), encoding="utf-8")

    def read_description(self) -> Description:
        """Reads model.json.

        Raises:
            UserError: If the folder holds no exported model.
        """
        try:
            fields = json.loads((self.path / "model.json").read_text(encoding="utf-8"))
            return Description(**{**fields, "decoding": Decoding(**fields["decoding"])})
        except FileNotFoundError:
            raise UserError(f"{self.path} holds no exported model: model.json is missing; export it again") from None
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise UserError(f"{self.path / 'model.json'} cannot be read ({error}); export the model again") from None
