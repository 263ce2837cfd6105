"""The Transformer, shared by train and export."""

from components.train.model.config import PRESETS, TransformerConfig
from components.train.model.transformer import Transformer

__all__ = ["PRESETS", "Transformer", "TransformerConfig"]
