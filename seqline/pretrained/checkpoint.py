"""A checkpoint in Hugging Face's format: its configuration, checked, and its tensors, not yet read."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from seqline.pretrained import llama, marian, t5
from seqline.pretrained.fields import Fields
from seqline.pretrained.needed import GENERATION
from seqline.pretrained.recipes import Recipes
from seqline.pretrained.tensors import Tensors
from seqline.schema.options import OptionsError
from seqline.tokenizers.checkpoint_files import CONFIG

FAMILIES: dict[str, Callable[[TransformerConfig], Recipes]] = {
    "marian": marian.recipes_of,
    "t5": t5.recipes_of,
    "mt5": t5.recipes_of,
    "llama": llama.recipes_of,
    "qwen2": llama.recipes_of,
    "mistral": llama.recipes_of,
}
"""What is supported, by `model_type`."""


@dataclass(frozen=True)
class Pretrained:
    """A checkpoint whose files fit together.

    Attributes:
        folder: Its folder.
        family: Its `model_type`.
        config: The model's configuration; `max_length` is the longest sequence that it can read, but see `limited`.
        limited: Whether longer sequences are impossible, and not just longer than those it was trained on.
        recipes: What each weight is made of.
        tensors: Its tensors.
    """

    folder: Path
    family: str
    config: TransformerConfig
    limited: bool
    recipes: Recipes
    tensors: Tensors


def read_pretrained(folder: Path) -> Pretrained:
    """Reads the configuration and the headers of the weights, and checks that they fit together.

    Args:
        folder: The checkpoint's folder.

    Raises:
        UserError: If the family or an option is not supported, or a file is missing, not whole or does not fit.
    """
    family, config = read_config(folder)
    recipes, tensors = FAMILIES[family](config), Tensors(folder)
    tensors.check(recipes)
    return Pretrained(folder, family, config, config.positions != "relative", recipes, tensors)


def read_config(folder: Path) -> tuple[str, TransformerConfig]:
    """Reads the configuration without the weights; `seqline.pretrained.fitting` has what the tokenizer decides.

    Args:
        folder: The checkpoint's folder.

    Returns:
        The family and the model's configuration.

    Raises:
        UserError: As `read_pretrained` does.
    """
    file = folder / CONFIG
    try:
        fields = Fields(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
    if fields.model_type not in FAMILIES:
        raise UserError(
            f"{file}: model_type {fields.model_type!r} is not supported; supported are {', '.join(sorted(FAMILIES))}"
        )
    if fields.get("quantization_config"):
        raise fields.unsupported("quantization_config", "quantized weights", "the original checkpoint")
    if fields.get("pruned_heads"):
        raise fields.unsupported("pruned_heads", fields.get("pruned_heads"), "a checkpoint with all heads")
    try:
        config = _config(fields, folder)
    except OptionsError as error:
        raise UserError(f"{file}: {error}; copy the checkpoint again") from None
    fields.finish()
    return fields.model_type, config


def _config(fields: Fields, folder: Path) -> TransformerConfig:
    if fields.model_type == "marian":
        return marian.read_config(fields)
    if fields.model_type in ("t5", "mt5"):
        return t5.read_config(fields)
    return llama.read_config(fields, _generation_ends(folder / GENERATION))


def _generation_ends(file: Path) -> list[int]:
    """The tokens that end an output by generation_config.json: a chat model's also has the end of a turn."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); copy the checkpoint again") from error
    ends = content.get("eos_token_id") if isinstance(content, dict) else None
    found = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if not all(type(one) is int for one in found):
        raise UserError(f"{file}: eos_token_id is {ends!r}, but must be token IDs; copy the checkpoint again")
    return found
