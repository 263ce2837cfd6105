"""A checkpoint in Hugging Face's format: its configuration, checked, and its tensors, not yet read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from seqline.pretrained import llama, marian, t5
from seqline.pretrained.fields import Fields
from seqline.pretrained.needed import CONFIG
from seqline.pretrained.recipes import Recipes
from seqline.pretrained.special_tokens import TokenizerFiles
from seqline.pretrained.tensors import Tensors
from seqline.schema.options import OptionsError

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
        tokens: Tokens of the tokenizer; the vocabulary may be padded to more.
        recipes: What each weight is made of.
        tensors: Its tensors.
    """

    folder: Path
    family: str
    config: TransformerConfig
    limited: bool
    tokens: int
    recipes: Recipes
    tensors: Tensors


def read_pretrained(folder: Path) -> Pretrained:
    """Reads the configuration and the headers of the weights, and checks that they fit together.

    Args:
        folder: The checkpoint's folder.

    Raises:
        UserError: If the family or an option is not supported, or a file is missing, not whole or does not fit.
    """
    family, config, tokens = read_config(folder)
    recipes, tensors = FAMILIES[family](config), Tensors(folder)
    tensors.check(recipes)
    return Pretrained(folder, family, config, config.positions != "relative", tokens, recipes, tensors)


def read_config(folder: Path) -> tuple[str, TransformerConfig, int]:
    """Reads the configuration without the weights.

    Args:
        folder: The checkpoint's folder.

    Returns:
        The family, the model's configuration, and the number of tokens of the tokenizer.

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
    tokenizer = TokenizerFiles(folder)
    try:
        config = _config(fields, tokenizer)
    except OptionsError as error:
        raise UserError(f"{file}: {error}; copy the checkpoint again") from None
    fields.finish()
    return fields.model_type, config, tokenizer.size or config.vocabulary_size


def _config(fields: Fields, tokenizer: TokenizerFiles) -> TransformerConfig:
    if fields.model_type == "marian":
        config = marian.read_config(fields)
    elif fields.model_type in ("t5", "mt5"):
        config = t5.read_config(fields)
    else:
        config = llama.read_config(fields, tokenizer.end(fields), tokenizer.begins_with_bos)
    size = tokenizer.size
    if size is None or size == config.vocabulary_size:
        return config
    if size > config.vocabulary_size:
        raise UserError(
            f"{tokenizer.folder}: the tokenizer has {size} tokens, but the model only {config.vocabulary_size}; copy "
            "both from the same checkpoint"
        )
    # The vocabulary is padded to a multiple; its last tokens have no text.
    unnamed = range(size, config.vocabulary_size)
    return config.with_values(suppressed_ids=tuple(sorted({*config.suppressed_ids, *unnamed})))
