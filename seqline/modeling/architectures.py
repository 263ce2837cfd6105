"""The architectures by name."""

from typing import Any

from seqline.modeling.config import TransformerConfig
from seqline.modeling.gpt import Gpt
from seqline.modeling.language_model import LanguageModel
from seqline.modeling.transformer import Transformer

ARCHITECTURES: dict[str, type[LanguageModel]] = {"transformer": Transformer, "gpt": Gpt}


def make_model(config: TransformerConfig, **kwargs: Any) -> LanguageModel:
    """Makes the model that a configuration describes.

    Args:
        config: The model's configuration.
        **kwargs: Keras's own arguments.
    """
    return ARCHITECTURES[config.architecture](config, **kwargs)
