"""Starting from the weights of an earlier model."""

import logging
from typing import Any

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus
from seqline.components.train.options import SHAPE
from seqline.errors import UserError
from seqline.modeling.config import TransformerConfig

log = logging.getLogger(__name__)

FREE = {"dropout", "attention_dropout", "activation_dropout", "max_length", "suppressed_ids", "other_eos_ids"}
"""Fields of the configuration that may differ: the weights do not depend on them."""
SIZE = ("encoder_layers", "decoder_layers", "hidden_dim", "intermediate_dim", "num_heads")
"""Fields that the preset sets."""


def start_from(checkpoint: Checkpoint, model: Any, config: TransformerConfig, corpus: Corpus, preset: str = "") -> None:
    """Loads the weights of an earlier model if vocabulary and shape are the same.

    Args:
        checkpoint: The earlier model's checkpoint.
        model: The training model to load into.
        config: Its configuration.
        corpus: The corpus that it will be trained on.
        preset: The model's preset.

    Raises:
        UserError: If the vocabulary or the shape differs.
    """
    found = TransformerConfig.from_dict(checkpoint.read_config().model)
    if checkpoint.tokenizer.read_bytes() != corpus.tokenizer.read_bytes():
        raise UserError(
            f"warm_start: the vocabulary of {checkpoint.path} differs from that of the corpus {corpus.path}; tokenize "
            "with the checkpoint's tokenizer, or leave warm_start empty"
        )
    for name in TransformerConfig.model_fields:
        value = getattr(config, name)
        if name not in FREE and getattr(found, name) != value:
            raise UserError(
                f"warm_start: {checkpoint.path} has {name} {getattr(found, name)}, not {value}; "
                f"{_advice(name, checkpoint, preset)}"
            )
    if config.positions == "learned" and found.max_length != config.max_length:
        raise UserError(
            f"warm_start: {checkpoint.path} has learned {found.max_length} positions, but this corpus needs "
            f"{config.max_length}; leave warm_start empty"
        )
    model.model.load_weights(checkpoint.weights)
    log.info("starting from the weights of %s", checkpoint.path)


def _advice(name: str, checkpoint: Checkpoint, preset: str) -> str:
    """What to do about a field that differs."""
    if name in SHAPE:
        return "set it to the same"
    if name in SIZE and (other := checkpoint.read_config().preset) not in ("", preset):
        return f"set preset to {other}"
    return "no option sets it: leave warm_start empty"


def copying_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns the options of an earlier model's shape that the task decides by default.

    Args:
        checkpoint: The earlier model's checkpoint.
    """
    found = TransformerConfig.from_dict(checkpoint.read_config().model)
    return {"pointer": found.pointer, "positions": found.positions}
