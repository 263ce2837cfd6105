"""Ways of fine-tuning: which weights are trained, and whether activations are computed again for the gradients."""

import zlib
from typing import Any

from seqline.components.train.options import Options
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig
from seqline.modeling.language_model import LanguageModel
from seqline.modeling.lora import add_adapters


def check_fine_tuning(options: Options, warm_start: str) -> None:
    """Checks that there are weights to fine-tune.

    Args:
        options: Options of training.
        warm_start: The checkpoint of an earlier training; empty for none.

    Raises:
        UserError: If the weights that are not trained would be random.
    """
    for fault in options.faults_in({"warm_start": warm_start}):
        raise UserError(f"training.{fault}")


def check_last_layers(options: Options, config: TransformerConfig) -> None:
    """Checks that the decoder has as many layers as are to be trained.

    Args:
        options: Options of training.
        config: The model's configuration.

    Raises:
        UserError: If it has fewer.
    """
    if options.fine_tuning == "last" and options.last_layers > config.decoder_layers:
        raise UserError(
            f"training.last_layers is {options.last_layers}, but the model's decoder has {config.decoder_layers} "
            f"layers: set it to at most {config.decoder_layers}"
        )


def prepare_fine_tuning(model: LanguageModel, options: Options) -> None:
    """Freezes the weights that are not trained, adds adapters, and sets up gradient checkpointing.

    Must be called after the first weights are loaded and before the optimizer is built, which then has no state of
    frozen weights.

    Args:
        model: The model.
        options: Options of training.
    """
    decoder: Any = model.decoder
    if options.fine_tuning != "full":
        for weight in model.weights:
            weight.trainable = False
    if options.fine_tuning == "last":
        for layer in (*decoder[-options.last_layers :], model.decoder_norm):
            for weight in () if layer is None else layer.weights:
                weight.trainable = True
    if options.fine_tuning == "lora":
        add_adapters(model, options.lora_targets, options.lora_rank, options.lora_alpha)
    for layer in (*getattr(model, "encoder", ()), *decoder):
        layer.recomputed = options.gradient_checkpointing


def frozen_checksum(model: LanguageModel) -> int:
    """The checksum of the weights that are not trained, which a working state does not contain.

    Args:
        model: The model.
    """
    checksum = 0
    for weight in model.weights:
        if not weight.trainable:
            checksum = zlib.crc32(weight.numpy().tobytes(), checksum)
    return checksum
