"""The models, shared by train and export."""

from typing import Any

from components.train.config import PRESETS, TransformerConfig
from components.train.model.gpt import Gpt
from components.train.model.language_model import LanguageModel
from components.train.model.transformer import Transformer

ARCHITECTURES: dict[str, type[LanguageModel]] = {"transformer": Transformer, "gpt": Gpt}


def make_model(config: TransformerConfig, **kwargs: Any) -> LanguageModel:
    """Makes the model that a configuration describes.

    Args:
        config: Its shape.
        **kwargs: Keras's own arguments.
    """
    return ARCHITECTURES[config.architecture](config, **kwargs)


__all__ = ["ARCHITECTURES", "PRESETS", "Gpt", "LanguageModel", "Transformer", "TransformerConfig", "make_model"]
