"""From a checkpoint to our model, and to our own checkpoint."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from seqline.artifacts.checkpoint import Checkpoint, CheckpointConfig
from seqline.atomic import atomic_directory
from seqline.modeling.architectures import make_model
from seqline.modeling.language_model import LanguageModel
from seqline.pretrained.checkpoint import Pretrained

log = logging.getLogger(__name__)


def load_weights(model: LanguageModel, pretrained: Pretrained) -> None:
    """Sets all weights of a model; beside the model, one of its weights at a time is in memory.

    Args:
        model: A model of the checkpoint's configuration.
        pretrained: The checkpoint.

    Raises:
        UserError: If a tensor's values are not finite, or tensors that config.json ties differ.
    """
    pretrained.tensors.check_copies(pretrained.recipes)
    missing = {id(weight): weight.path for weight in model.trainable_weights}
    for path, parts in pretrained.recipes.parts.items():
        weight = _weight(model, path)
        tensors = [pretrained.tensors.read(part.name) for part in parts]
        tensors = [tensor.T if part.transposed else tensor for part, tensor in zip(parts, tensors, strict=True)]
        weight.assign(np.reshape(tensors[0] if len(tensors) == 1 else np.concatenate(tensors, axis=-1), weight.shape))
        missing.pop(id(weight))
    if missing:
        raise RuntimeError(f"no tensor of a {pretrained.family} checkpoint sets {', '.join(missing.values())}")
    log.info("starting from the weights of %s (%s)", pretrained.folder, pretrained.family)


def build_model(pretrained: Pretrained, max_length: int | None = None) -> LanguageModel:
    """Builds the model with the checkpoint's weights.

    Args:
        pretrained: The checkpoint.
        max_length: Longest sequence in tokens; None for the checkpoint's.

    Raises:
        UserError: As `load_weights` does.
    """
    config = pretrained.config if max_length is None else pretrained.config.with_values(max_length=max_length)
    model = make_model(config)
    load_weights(model, pretrained)
    return model


def write_checkpoint(
    model: LanguageModel, output: Path, tokenizer: Path, source_language: str = "", target_language: str = ""
) -> None:
    """Writes a model as a checkpoint that export takes.

    Args:
        model: From `build_model`.
        output: The folder to write.
        tokenizer: The tokenizer's file.
        source_language: Language of the input.
        target_language: Language of the output.
    """
    with atomic_directory(output, Checkpoint(output).config.name) as folder:
        written = Checkpoint(folder)
        model.save_weights(written.weights)
        shutil.copyfile(tokenizer, written.tokenizer)
        written.history.write_text("[]\n", encoding="utf-8")
        CheckpointConfig(
            model.config.to_dict(), source_language=source_language, target_language=target_language
        ).write(written.config)


def _weight(model: Any, path: str) -> Any:
    found = model
    for name in path.split("/"):
        found = found[int(name)] if name.isdigit() else getattr(found, name)
    return found
