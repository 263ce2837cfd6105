"""What the tokenizer's files say about the model: its size, where an output ends, whether a text begins with `bos`."""

import json
from pathlib import Path
from typing import Any

from seqline.errors import UserError
from seqline.pretrained.fields import Fields


class TokenizerFiles:
    """The tokenizer's files of a checkpoint, as far as the model depends on them.

    Args:
        folder: The checkpoint's folder; files may be missing.

    Raises:
        UserError: If one is not a JSON object.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config, self.generation, self.fast = (
            _read(folder / name) for name in ("tokenizer_config.json", "generation_config.json", "tokenizer.json")
        )

    @property
    def size(self) -> int | None:
        """The number of ids, from 0 to the highest; None without a file that says it."""
        if self.fast:
            vocabulary = self.fast.get("model", {}).get("vocab", {})
            ids = [*vocabulary.values()] if isinstance(vocabulary, dict) else [len(vocabulary) - 1]
            return 1 + max([*ids, *(one["id"] for one in self.fast.get("added_tokens", ()))], default=-1)
        if words := _read(self.folder / "vocab.json"):
            added = _read(self.folder / "added_tokens.json")
            return 1 + max([*words.values(), *added.values()])
        if (self.folder / "spiece.model").exists():
            import sentencepiece

            processor = sentencepiece.SentencePieceProcessor(model_file=str(self.folder / "spiece.model"))
            return int(processor.get_piece_size()) + int(self.config.get("extra_ids", 100))
        return None

    def end(self, fields: Fields) -> int | None:
        """Chooses the token that ends an output: the tokenizer's, where the checkpoint names several and it is one.

        A chat model names the end of a text and the end of a turn; its tokenizer has the end of a turn.

        Args:
            fields: The fields of config.json.

        Returns:
            None, where config.json decides.
        """
        ends = [*_list(fields.get("eos_token_id")), *_list(self.generation.get("eos_token_id"))]
        return own if (own := self._id(_text(self.config.get("eos_token")))) in ends else None

    @property
    def begins_with_bos(self) -> bool:
        """Whether a text begins with the token `bos`."""
        # The class for byte-level BPE ignores add_bos_token; the post-processor is what it runs.
        steps = self.fast.get("post_processor") or {}
        for step in [steps, *steps.get("processors", ())]:
            single = step.get("single") if step.get("type") == "TemplateProcessing" else None
            first: dict[str, Any] = next(iter(single or ()), {})
            if "SpecialToken" in first:
                return True
        if self.fast:
            return False
        return bool(self.config.get("add_bos_token", (self.folder / "tokenizer.model").exists()))

    def _id(self, text: str) -> int | None:
        for one in self.fast.get("added_tokens", ()):
            if one["content"] == text:
                return int(one["id"])
        return None


def _text(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token or "")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); copy the checkpoint again") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} is not a JSON object; copy the checkpoint again")
    return content
